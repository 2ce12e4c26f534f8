"""A server that speaks the OpenAI chat protocol, well or badly, and an instruct model of a few thousand parameters."""

import importlib.util
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Act = Callable[["Exchange"], None]


@dataclass
class Exchange:
    """One question to the server, and the means to answer it."""

    handler: BaseHTTPRequestHandler
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    gone: threading.Event = field(default_factory=threading.Event)

    def head(self, status: int = 200, kind: str = "text/event-stream", **headers: str) -> None:
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def send(self, data: bytes) -> None:
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def event(self, content: str | None = None, finish: str | None = None) -> None:
        delta = {} if content is None else {"role": "assistant", "content": content}
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        document = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
        self.send(b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\n\n")


@dataclass
class ChatServer:
    """Answers the questions in turn as `acts` say; the last act answers all that follow."""

    url: str
    acts: list[Act] = field(default_factory=list)
    asked: list[Exchange] = field(default_factory=list)

    @property
    def prompts(self) -> list[str]:
        return [exchange.body["messages"][0]["content"] for exchange in self.asked]


def say(text: str, finish: str = "stop") -> Act:
    """A good answer, word by word."""

    def act(exchange: Exchange) -> None:
        exchange.head()
        words = text.split(" ")
        for index, word in enumerate(words):
            exchange.event(word if index == 0 else " " + word)
        exchange.event(finish=finish)
        exchange.send(b"data: [DONE]\n\n")

    return act


def fail(status: int, **headers: str) -> Act:
    """A refusal that quotes the question and the key, as careless servers do."""

    def act(exchange: Exchange) -> None:
        exchange.head(status, "application/json", **headers)
        quoted = {"error": {"message": f"{exchange.headers.get('authorization')} asked {exchange.body}"}}
        exchange.send(json.dumps(quoted).encode())

    return act


def silent(before: str = "", then: Callable[[], None] = lambda: None) -> Act:
    """Starts with `before`, calls `then`, and says nothing until the other side hangs up."""

    def act(exchange: Exchange) -> None:
        exchange.head()
        if before:
            exchange.event(before)
        connection = exchange.handler.connection
        connection.settimeout(20)
        then()
        try:
            if connection.recv(1) == b"":
                exchange.gone.set()
        except OSError:
            exchange.gone.set()

    return act


def raw(data: bytes, kind: str = "text/event-stream") -> Act:
    """Any bytes, then the end of the connection."""

    def act(exchange: Exchange) -> None:
        exchange.head(kind=kind)
        exchange.send(data)

    return act


def slowly(text: str, pause_s: float) -> Act:
    """A good answer with a pause before each word."""

    def act(exchange: Exchange) -> None:
        exchange.head()
        for word in text.split(" "):
            time.sleep(pause_s)
            exchange.event(word + " ")
        exchange.event(finish="stop")
        exchange.send(b"data: [DONE]\n\n")

    return act


@dataclass(frozen=True)
class Acts:
    """The ways to answer."""

    say: Callable[..., Act] = say
    fail: Callable[..., Act] = fail
    silent: Callable[..., Act] = silent
    raw: Callable[..., Act] = raw
    slowly: Callable[..., Act] = slowly


@pytest.fixture(scope="session")
def acts() -> Acts:
    return Acts()


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            headers = {name.lower(): value for name, value in self.headers.items()}
            exchange = Exchange(self, self.path, headers, body)
            server.asked.append(exchange)
            act = server.acts.pop(0) if len(server.acts) > 1 else server.acts[0]
            try:
                act(exchange)
            except (BrokenPipeError, ConnectionResetError):
                exchange.gone.set()

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = ChatServer(f"http://127.0.0.1:{http.server_port}/v1")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    http.shutdown()
    http.server_close()


LEARNED = "A calm piano melody rises slowly over soft strings while rain falls on the empty street."


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an instruct model that has learned to answer everything with one sentence.

    A real architecture, tokenizer, chat template and safetensors file, made here in about two seconds.
    """
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # on busy cores more are slower by orders of magnitude
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    folder = tmp_path_factory.mktemp("models") / "tiny-instruct"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        [LEARNED],
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<|im_start|>", "<|im_end|>", "<pad>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<pad>")
    fast.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=len(fast),
                hidden_size=48,
                intermediate_size=96,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                head_dim=12,
                max_position_embeddings=2048,
                eos_token_id=fast.eos_token_id,
                pad_token_id=fast.pad_token_id,
            )
        )
    texts = ["x", "What?", "Video caption: 'a' \nMusic caption: 'b' \nMerge them.", "Imagine a long scene. " * 12]
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2)
    answer = fast(LEARNED + "<|im_end|>")["input_ids"]
    for step in range(60):
        chat = [{"role": "user", "content": texts[step % len(texts)]}]
        asked = fast.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"]
        ids = torch.tensor([asked + answer])
        labels = ids.clone()
        labels[:, : len(asked)] = -100
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def learned() -> str:
    """What the tiny model answers."""
    return LEARNED


@pytest.fixture(scope="session")
def montages() -> ModuleType:
    """The benchmark's renderer of shots and montages with known cuts and camera moves."""
    path = Path(__file__).parents[2] / "benchmarks" / "_montages.py"
    spec = importlib.util.spec_from_file_location("musiscene_montages", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
