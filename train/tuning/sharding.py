"""A run's state as plain tensors by parameter name, whether it lies on one process, in copies, or in shards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import Tensor

_PREFIX = "model."
"""The trainee holds the network under this name."""


def gather_state(
    accelerator: Accelerator, network: Any, optimizer: Any
) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
    """Copies of the trained weights and AdamW's state on the CPU; with shards every process must take part."""
    if accelerator.distributed_type == DistributedType.FSDP:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

        options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
        states_of: Any = get_state_dict(network, _inner(optimizer), options=options)
        state, optimised = states_of

        def own(tensor: Tensor) -> Tensor:
            """What is on the CPU anyway, such as AdamW's count of steps, is given as it is."""
            return tensor.clone() if accelerator.device.type == "cpu" or not tensor.ndim else tensor

        return (
            {_name(n): own(t) for n, t in state.items()},
            {_name(n): {k: own(v) for k, v in s.items()} for n, s in optimised.get("state", {}).items()},
        )
    weights, states = {}, {}
    for name, parameter in accelerator.unwrap_model(network).named_parameters():
        if parameter.requires_grad:
            weights[_name(name)] = parameter.detach().to("cpu", copy=True)
            state = _inner(optimizer).state.get(parameter)
            if state:
                states[_name(name)] = {key: torch.as_tensor(value).to("cpu", copy=True) for key, value in state.items()}
    return weights, states


def restore_state(
    accelerator: Accelerator,
    network: Any,
    optimizer: Any,
    weights: Mapping[str, Tensor],
    states: Mapping[str, Mapping[str, Tensor]],
) -> None:
    """Put back what `gather_state` gave."""
    if accelerator.distributed_type == DistributedType.FSDP:
        from torch.distributed.checkpoint.state_dict import (
            StateDictOptions,
            set_model_state_dict,
            set_optimizer_state_dict,
        )

        options = StateDictOptions(full_state_dict=True, strict=False)
        set_model_state_dict(network, {_PREFIX + n: t for n, t in weights.items()}, options=options)
        inner = _inner(optimizer)
        groups = [
            {**{k: v for k, v in g.items() if k != "params"}, "params": _group_names(network, g)}
            for g in inner.param_groups
        ]
        optimised: Any = {"state": {_PREFIX + n: dict(s) for n, s in states.items()}, "param_groups": groups}
        set_optimizer_state_dict(network, inner, optimised, options=options)
        return
    inner = _inner(optimizer)
    fused = bool(inner.defaults.get("fused"))
    for name, parameter in accelerator.unwrap_model(network).named_parameters():
        if parameter.requires_grad:
            with torch.no_grad():
                parameter.copy_(weights[_name(name)])
            if _name(name) in states:
                inner.state[parameter] = {
                    # AdamW keeps its count of steps on the CPU, unless it is fused; the moments beside the weights
                    key: value.clone() if key == "step" and not fused else value.to(parameter.device, copy=True)
                    for key, value in states[_name(name)].items()
                }


def _group_names(network: Any, group: Mapping[str, Any]) -> list[str]:
    names = {parameter: name for name, parameter in network.named_parameters()}
    return [names[parameter] for parameter in group["params"]]


def _inner(optimizer: Any) -> Any:
    return getattr(optimizer, "optimizer", optimizer)


def _name(name: str) -> str:
    return name.removeprefix("module.").removeprefix(_PREFIX)
