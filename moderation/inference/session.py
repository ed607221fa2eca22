"""ONNX Runtime with the provider that was asked for, or an error: it would fall back to the CPU without a word."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from moderation.errors import ModelError

logger = logging.getLogger(__name__)

Provider = Literal["cpu", "cuda", "tensorrt", "openvino"]
PROVIDER_NAMES: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
_PACKAGES: dict[Provider, str] = {
    "cpu": "onnxruntime", "cuda": "onnxruntime-gpu", "tensorrt": "onnxruntime-gpu", "openvino": "onnxruntime-openvino",
}  # fmt: skip
_MOST_THREADS = 4


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Where a model runs. `threads` None: one a usable core, at most four; workers scale better than threads."""

    provider: Provider = "cpu"
    threads: int | None = None

    @property
    def thread_count(self) -> int:
        return self.threads or min(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2, _MOST_THREADS
        )


class ModelSession:
    """One loaded graph. `run` may be called from several threads."""

    def __init__(self, path: Path, settings: SessionSettings | None = None) -> None:
        """Raises ModelError where the graph cannot be loaded or the provider is not the one asked for."""
        self.settings = settings or SessionSettings()
        wanted = PROVIDER_NAMES[self.settings.provider]
        if wanted not in onnxruntime.get_available_providers():
            raise ModelError(
                f"provider {self.settings.provider!r} is not in this installation of ONNX Runtime. "
                f"Install {_PACKAGES[self.settings.provider]} (alone: the wheels overwrite each other), or use 'cpu'."
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.settings.thread_count
        options.inter_op_num_threads = 1
        # Threads that spin while they wait take the cores from decoding and recognition, which share the machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # A pool of memory that only grows would keep the largest batch for ever.
        options.enable_cpu_mem_arena = False
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=[wanted])
        except Exception as error:  # ONNX Runtime raises its own unexported classes
            raise ModelError(f"{path}: ONNX Runtime cannot load it ({error}). Reinstall or export it again.") from error
        active = self._session.get_providers()
        if not active or active[0] != wanted:
            raise ModelError(
                f"{path}: asked for {wanted}, ONNX Runtime chose {active}. Check the driver and libraries that "
                f"{_PACKAGES[self.settings.provider]} needs; it is not used on the CPU without being asked to."
            )
        logger.info("%s runs on %s with %d threads", path.name, active[0], self.settings.thread_count)

    @property
    def provider(self) -> str:
        """The execution provider in use, as ONNX Runtime names it."""
        return self._session.get_providers()[0]

    def run(self, outputs: Sequence[str], feeds: Mapping[str, NDArray]) -> list[NDArray[np.float32]]:
        """The named outputs for these inputs."""
        return cast("list[NDArray[np.float32]]", self._session.run(list(outputs), dict(feeds)))
