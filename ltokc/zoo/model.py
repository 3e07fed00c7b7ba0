"""A model that is open for use: its registry entry, the shapes of its levels, the integer prior, the networks."""

from __future__ import annotations

import os
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from ltokc import container
from ltokc.container.records import Data, Header, Ltk
from ltokc.entropy.prior import Prior
from ltokc.errors import ModelError
from ltokc.geometry import Level
from ltokc.threads import runtime_threads
from ltokc.tokenizer import colour, halting, rounding
from ltokc.tokenizer.colour import ColourResponse
from ltokc.tokenizer.generative import GENERATIVE, Sampling
from ltokc.tokenizer.generative import WEIGHTS as GENERATOR
from ltokc.tokenizer.halting import Head
from ltokc.tokenizer.receptive_field import ReceptiveField, with_generator
from ltokc.tokenizer.runtime import Runtime, open_runtime
from ltokc.tokenizer.windows import TILING, Networks, Tiling
from ltokc.zoo import registry
from ltokc.zoo.weights import PRIOR_KIND, WEIGHTS, Weights


class Model:
    """Parts are loaded when first asked for: the prior needs numpy alone, the runtime ONNX Runtime or torch."""

    def __init__(self, entry: registry.ModelEntry, folder: Path, tiling: Tiling = TILING):
        self.entry, self.folder, self.tiling = entry, folder, tiling
        self.weights = Weights(folder / WEIGHTS)
        self.runtimes: dict[tuple, Runtime] = {}

    @cached_property
    def tensors(self) -> dict[str, np.ndarray]:
        """The integer tensors of the prior."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.weights.path, "np") as f:
                return {name: f.get_tensor(name) for name in f.keys() if name.startswith("prior.")}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ModelError(f"cannot read {WEIGHTS} of model {self.entry.name}: {error}") from error

    @property
    def levels(self) -> tuple[Level, ...]:
        return self.weights.levels

    @property
    def told(self) -> bool:
        """Whether the tokenizer wants to know how many levels will be kept (`ltokc.tokenizer.nn.query`)."""
        return bool(self.weights.config.get("told", False))

    @property
    def field(self) -> ReceptiveField:
        """How far the networks look."""
        return self.weights.field

    @cached_property
    def generative_field(self) -> ReceptiveField:
        """How far the generative decoder looks.  Raises ModelError if the model has none."""
        if GENERATIVE not in self.entry.decoders:
            raise ModelError(f"model {self.entry.name} has no generative decoder, only the faithful one")
        return with_generator(self.field, Weights(self.folder / GENERATOR).header)

    def field_of(self, sampling: Sampling | None) -> ReceptiveField:
        """How far the decoder looks that makes this picture; None: the faithful one.  Raises ModelError."""
        return self.generative_field if sampling else self.field

    @cached_property
    def prior(self) -> Prior:
        kind = self.weights.prior_kind
        if kind != PRIOR_KIND:
            raise ModelError(f"model {self.entry.name} has a prior of kind {kind!r}, unknown to this program")
        return Prior(self.tensors, self.levels)

    def runtime(self, backend: str = "auto", device: str = "auto", precision: str = "auto") -> Runtime:
        """The networks on a backend and a device, in a precision, opened once.  Raises ModelError, UsageError.

        Once for every number of threads, and anew in a process that was forked: the threads did not come along.
        """
        key = (backend, device, precision, runtime_threads(), os.getpid())
        if key not in self.runtimes:
            digests = {file.name: file.sha256 for file in self.entry.files}  # compared when the model was opened
            self.runtimes[key] = open_runtime(self.folder, backend, device, precision=precision, digests=digests)
        return self.runtimes[key]

    def networks(
        self, backend: str = "auto", device: str = "auto", sampling: Sampling | None = None, precision: str = "auto"
    ) -> Networks:
        """The networks for pictures of any size, with the generative decoder where `sampling` is given.

        Raises ModelError, UsageError.
        """
        field = self.field_of(sampling)
        return Networks(self.runtime(backend, device, precision), self.levels, field, self.tiling, sampling)

    @cached_property
    def halting(self) -> Head | None:
        """The halting head, if the model has one."""
        if not self.entry.looks or not any(file.name == halting.FILE for file in self.entry.files):
            return None
        return halting.Head.load(self.folder / halting.FILE, self.levels)

    @cached_property
    def colour(self) -> ColourResponse | None:
        """What digits do to the colour of large areas, if the model has it fitted."""
        if not any(file.name == colour.FILE for file in self.entry.files):
            return None
        return ColourResponse.load(self.folder / colour.FILE, self.levels)

    @cached_property
    def rounding(self) -> rounding.RoundingKernel | None:
        """The rounding kernel, if the model has one.  Raises ModelError."""
        if not any(file.name == rounding.FILE for file in self.entry.files):
            return None
        return rounding.RoundingKernel.load(self.folder / rounding.FILE, self.levels)

    def keep_of_quality(self, quality: float) -> float:
        """Levels of an ordinary picture at a quality 0..1 (piecewise linear); of every one without a halting head."""
        table = np.asarray(self.entry.quality, float)
        return float(np.interp(quality, table[:, 0], table[:, 1]))

    def keep_of_bits(self, bits: float) -> float:
        """Levels of an ordinary picture at so many bits a cell; all of them where the model has no halting head."""
        usual = None if self.halting is None else self.halting.usual_bits
        return float(len(self.levels) if usual is None else np.interp(bits, usual, np.arange(1, len(usual) + 1)))


def open_model(name: str | int | None = None) -> Model:
    """Opens a model by name or id; None: the default one.  However it is named, it is opened once a process.

    Its files are compared with the registry's SHA-256 then: about 1 ms a megabyte.  Raises ModelError.
    """
    entry = registry.find(name)
    return opened(entry, registry.folder(entry))


@lru_cache(maxsize=4)
def opened(entry: registry.ModelEntry, folder: Path) -> Model:
    """The model of an entry, whose files are in `folder`.  Raises ModelError."""
    registry.check(entry)
    return Model(entry, folder)


def model_of(file: Header | Ltk, data: Data = b"", allow_truncated: bool = False) -> Model:
    """The model that a file was made with.  Raises ModelError if it is not here, or has other weights.

    data: the whole file, if it was not read yet: an unknown model may be damage, which is then the error.
    """
    try:
        model = open_model(file.model_id)
    except ModelError:
        if data:
            container.read(data, allow_truncated=allow_truncated, limit_pixels=None)
        raise
    if model.entry.bitstream_hash != file.weights_hash:
        raise ModelError(
            f"the file was made with other weights of model {model.entry.name} "
            f"({file.weights_hash:04x}, here {model.entry.bitstream_hash:04x})"
        )
    return model
