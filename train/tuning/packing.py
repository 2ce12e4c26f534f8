"""Items laid one after the other without padding: all products with matrices run over real tokens alone.

Only attention has to know where an item ends. There items of similar length form a group, padded to its longest, so
that plain causal attention does without a mask and every fast kernel can be taken. All indices are made beforehand, on
the CPU: nothing that is computed on a GPU has to be waited for in order to go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from musiscene.networks.mu_llama.model import IGNORED_LABEL
from train.tuning.batches import attention_groups
from train.tuning.examples import Tokens

Group = tuple[int, int, int, Tensor | None]
"""Number of tokens and of items, tokens of the longest, and where each token lies in the padded block (None where
nothing is padded)."""


@dataclass(frozen=True)
class Packing:
    """How the tokens of a micro-batch belong together, as the layers need it.

    Attributes:
        groups: What attends together.
        rotary: Cosine and sine of each token's angles, `(total, 1, head_dim / 2)` each.
        belongs: 1 where a token belongs to an item, `(total, items)`: spreads what an item hears over its tokens. As a
            product its gradient is summed in float32 and in the same order every time.
    """

    groups: Sequence[Group]
    rotary: tuple[Tensor, Tensor]
    belongs: Tensor


def pack(rows: Sequence[Tokens], device: torch.device | str = "cpu") -> dict[str, Any]:
    """Arguments of the trainee's forward for items laid one after the other.

    Args:
        rows: The items; neighbours should be of similar length.
        device: Where the tensors go.
    """
    lengths = [len(row.ids) for row in rows]
    ids = np.concatenate([np.asarray(row.ids, np.int64) for row in rows])
    owners = np.repeat(np.arange(len(rows)), lengths)
    starts = np.cumsum([0, *lengths[:-1]])
    positions = np.arange(len(ids)) - starts[owners]
    prompts = np.asarray([max(row.prompt, 1) for row in rows])[owners]
    following = np.append(ids[1:], IGNORED_LABEL)
    last = positions + 1 == np.asarray(lengths)[owners]
    learnt = np.flatnonzero((positions + 1 >= prompts) & ~last & (following != IGNORED_LABEL))

    def there(values: np.ndarray[Any, Any]) -> Tensor:
        return moved(torch.from_numpy(np.ascontiguousarray(values)), device)

    groups: list[Group] = []
    row = 0
    for count in attention_groups(lengths):
        inside = lengths[row : row + count]
        begin, longest = int(starts[row]), max(inside)
        end = begin + sum(inside)
        padded = count * longest != end - begin
        places = (owners[begin:end] - row) * longest + positions[begin:end]
        groups.append((end - begin, count, longest, there(places) if padded else None))
        row += count
    return {
        "tokens": there(ids),
        "positions": there(positions),
        "owners": there(owners),
        "learnt": there(learnt),
        "targets": there(following[learnt]),
        "groups": groups,
        "items": len(rows),
    }


def moved(tensor: Tensor, device: torch.device | str) -> Tensor:
    """A tensor on a device; to a GPU it is copied while that works on something else."""
    device = torch.device(device)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def rotated(part: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Queries or keys `(total, heads, size)`, turned by their position (Su et al., RoFormer, 2021; halves as pairs)."""
    cosine, sine = rotary
    first, second = part.chunk(2, dim=-1)
    turned = (torch.addcmul(first * cosine, second, sine, value=-1), torch.addcmul(second * cosine, first, sine))
    return torch.cat(turned, dim=-1)


def causal_attention(query: Tensor, key: Tensor, value: Tensor, groups: Sequence[Group]) -> Tensor:
    """Each item's tokens attend to those before them, `(total, heads, size)` -> `(total, heads * size)`.

    What is padded stands behind the tokens of its item, where causal attention never looks.
    """
    sizes = [size for size, _, _, _ in groups]
    made = []
    parts = zip(*(torch.split(part, sizes) for part in (query, key, value)), strict=True)
    for (_, items, longest, places), inside in zip(groups, parts, strict=True):
        block = [_block(part, items, longest, places) for part in inside]
        heard = functional.scaled_dot_product_attention(block[0], block[1], block[2], is_causal=True)
        flat = heard.transpose(1, 2).reshape(items * longest, -1)
        made.append(flat if places is None else flat.index_select(0, places))
    return made[0] if len(made) == 1 else torch.cat(made)


def _block(part: Tensor, items: int, longest: int, places: Tensor | None) -> Tensor:
    """A group's tokens, padded: `(tokens, heads, size)` -> `(items, heads, longest, size)`."""
    if places is not None:
        part = part.new_zeros(items * longest, *part.shape[1:]).index_copy(0, places, part)
    return part.view(items, longest, *part.shape[1:]).transpose(1, 2)
