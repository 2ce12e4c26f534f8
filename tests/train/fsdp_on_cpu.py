"""`train.finetune` with its weights in shards on processors.

accelerate offers FSDP for accelerators only, although PyTorch's own runs over gloo too. Here accelerate's state is told
that it may, so that everything after it (wrapping, gathering, restoring) is the real thing.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

_begin = AcceleratorState.__init__


def _sharded(self: AcceleratorState, *given: Any, fsdp_plugin: Any = None, **named: Any) -> None:
    _begin(self, *given, fsdp_plugin=fsdp_plugin, **named)
    self.distributed_type = DistributedType.FSDP
    if fsdp_plugin is not None:  # the state is asked for again and again, and is one
        self.fsdp_plugin = fsdp_plugin
    PartialState._shared_state["distributed_type"] = DistributedType.FSDP


if __name__ == "__main__":
    os.environ["ACCELERATE_USE_CPU"] = "true"
    AcceleratorState.__init__ = _sharded  # type: ignore[method-assign]
    from train.failures import run_main
    from train.finetune import main

    sys.exit(run_main(main))
