"""Public checkpoints of speech-driven animation: `grid.dat`, `timit.dat`, `crema.dat` (Vougioukas et al. 2018, 2019).

A dict of sizes and three state dicts: `encoder` (waveform encoder and context GRU), `encoder_id` (still), `generator`
(noise GRU and decoder). Sizes, sample rate and window are read from the file. They become one network with the parts
`audio`, `context`, `identity`, `noise` and `decoder`, named as the blocks name their layers.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thjax.blocks.encoders import waveform_layers
from thjax.core.errors import UserError
from thjax.pretrained import torch_files
from thjax.pretrained.rules import Rule, apply, kernel, norm_rules, params, rule

SIZES = ("img_size", "audio_rate", "video_rate", "audio_feat_samples", "id_enc_dim", "rnn_gen_dim", "aud_enc_dim",
         "aux_latent", "sequential_noise")
STATES = ("encoder", "encoder_id", "generator")
OPTIONAL = ("audio_feat_len", "mean_face")
STABLE = (33, 36, 39, 42, 45)
"""Landmarks that the public caller aligns: nose base and eye corners, 68-point iBUG order."""
_FPS = 25
_GRU_LAYERS = 2
_IGNORED = "num_batches_tracked"


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What a file says about its networks.

    Attributes:
        height, width: of a frame, in pixels.
        audio_rate: samples per second that the waveform encoder hears.
        audio_window: samples of a window at that rate.
        audio_channels: of the strided layers of the waveform encoder.
        audio_code, context, identity, noise: features.
        noise_layers: of the noise GRU; 0 where the draws go into the decoder as they are.
        channels: of the levels of the identity encoder, the finest first.
        template: [5][2] where `STABLE` lie in a frame, in pixels; None where the file has no mean face.
    """

    height: int
    width: int
    audio_rate: int
    audio_window: int
    audio_channels: tuple[int, ...]
    audio_code: int
    context: int
    identity: int
    noise: int
    noise_layers: int
    channels: tuple[int, ...]
    template: tuple[tuple[float, float], ...] | None = None


def convert(path: str | Path, audio_scale: float = 1.0) -> tuple[dict[str, Any], Sizes]:
    """Reads a public checkpoint.

    Args:
        path: of the `.dat` file, in the format of torch before or after 2020.
        audio_scale: 1: the network hears samples in [-1, 1], as the public caller gives it those of a file; 2: in
            [-2, 2], as it gives it those of an array. Folded into the first kernel.

    Returns:
        {"params": ..., "batch_stats": ...} of the generator, float32, and the sizes.

    Raises:
        UserError: the file cannot be read, or lacks a key, or has one too many, or one of another shape; all are named.
    """
    content = torch_files.read(path)
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: holds a {type(content).__name__}, not the dict of a public checkpoint of this kind")
    if missing := [name for name in (*SIZES, *STATES) if name not in content]:
        raise UserError(f"{path}: lacks {', '.join(missing)}; found {', '.join(map(str, content))}")
    tensors = {f"{state}/{key}": value for state in STATES for key, value in _state(content, state, path).items()
               if not key.endswith(_IGNORED)}
    sizes = read_sizes(content, tensors, path)
    return apply(rules(sizes, audio_scale), tensors, path), sizes


def _state(content: Mapping[str, Any], name: str, path) -> Mapping[str, np.ndarray]:
    state = content[name]
    if not isinstance(state, Mapping) or not all(isinstance(value, np.ndarray) for value in state.values()):
        raise UserError(f"{path}: {name} is not a state dict of tensors")
    return state


def read_sizes(content: Mapping[str, Any], tensors: Mapping[str, np.ndarray], path) -> Sizes:
    """Sizes from the file's values, numbers of layers and channels from its tensors.

    Raises:
        UserError: values that contradict themselves, or a frame rate other than 25.
    """
    def whole(name: str) -> int:
        value = content[name]
        if isinstance(value, (bool, str)) or value is None or float(value) != int(value) or value < 0:
            raise UserError(f"{path}: {name} is {value!r}, not a whole number")
        return int(value)

    size = content["img_size"]
    height, width = (int(size), int(size)) if np.isscalar(size) else (int(n) for n in size)
    if whole("video_rate") != _FPS:
        raise UserError(f"{path}: video_rate {content['video_rate']}; only {_FPS} frames per second are generated here")
    levels = _count(tensors, "encoder_id/cl.{}.0.weight") - 1
    strided = _count(tensors, "encoder/encoder.cl.{}.weight") - 1
    if levels < 1 or strided < 1:
        raise UserError(f"{path}: encoder_id/cl.0.0.weight or encoder/encoder.cl.0.weight is missing")
    noise = whole("aux_latent")
    return Sizes(
        height, width, whole("audio_rate"), whole("audio_feat_samples"),
        tuple(tensors[f"encoder/encoder.cl.{i}.weight"].shape[0] for i in range(strided)),
        whole("aud_enc_dim"), whole("rnn_gen_dim"), whole("id_enc_dim"), noise,
        int(bool(noise and content["sequential_noise"])),
        tuple(tensors[f"encoder_id/cl.{i}.0.weight"].shape[0] for i in range(levels)),
        _template(content.get("mean_face"), path),
    )


def _count(tensors: Mapping[str, np.ndarray], pattern: str) -> int:
    """How many of pattern.format(0), pattern.format(1), ... there are."""
    count = 0
    while pattern.format(count) in tensors:
        count += 1
    return count


def _template(mean_face: Any, path) -> tuple[tuple[float, float], ...] | None:
    if mean_face is None:
        return None
    points = np.asarray(mean_face, np.float64)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise UserError(f"{path}: mean_face has shape {points.shape}, not 68 points")
    return tuple((float(x), float(y)) for x, y in points[list(STABLE)])


def rules(sizes: Sizes, audio_scale: float = 1.0) -> list[Rule]:
    """Every tensor that a file with these sizes must have."""
    try:
        table = waveform_layers(sizes.audio_rate, sizes.audio_window, sizes.audio_code, sizes.audio_channels)
    except ValueError as error:
        raise UserError(f"audio_rate, audio_feat_samples and the layers of the encoder do not fit: {error}") from error
    found, width = [], 1
    for i, layer in enumerate(table):
        last = i == len(table) - 1
        name = "code_conv" if last else f"conv_{i}"
        scale = audio_scale if i == 0 else 1.0
        source = f"encoder/encoder.cl.{i}"
        found.append(rule(f"{source}.weight", (layer.features, width, layer.kernel), ("audio", name, "kernel"),
                          lambda w, scale=scale: w.transpose(2, 1, 0) * np.float32(scale)))
        found.append(rule(f"{source}.bias", (layer.features,), ("audio", name, "bias")))
        if not last:
            found += norm_rules(f"encoder/encoder.activations.{i}.0", layer.features, ("audio", f"norm_{i}"))
        width = layer.features
    found += _gru("encoder/rnn", sizes.audio_code, sizes.context, _GRU_LAYERS, "context")
    found += _identity_rules(sizes) + _decoder_rules(sizes)
    if sizes.noise_layers:
        found += _gru("generator/rnn_noise", sizes.noise, sizes.noise, sizes.noise_layers, "noise")
    return found


def _identity_rules(sizes: Sizes) -> list[Rule]:
    found, width = [], 3
    for i, features in enumerate(sizes.channels):
        place = ("identity", f"conv_{i}", "kernel")
        found.append(rule(f"encoder_id/cl.{i}.0.weight", (features, width, 4, 4), place, kernel))
        found += norm_rules(f"encoder_id/cl.{i}.1", features, ("identity", f"norm_{i}"))
        width = features
    shape = (sizes.identity, width, *_deepest(sizes))
    place = ("identity", "code_conv", "kernel")
    return [*found, rule(f"encoder_id/cl.{len(sizes.channels)}.0.weight", shape, place, kernel)]


def _decoder_rules(sizes: Sizes) -> list[Rule]:
    """The latent is context, noise, identity, in this order here and there."""
    channels = sizes.channels
    latent, deep = sizes.context + sizes.noise + sizes.identity, channels[-1]
    shape = (latent, deep, *_deepest(sizes))
    found = [rule("generator/dcl.0.0.weight", shape, ("decoder", "expand", "kernel"), kernel),
             *norm_rules("generator/dcl.0.1", deep, ("decoder", "expand_norm"))]
    for block, level in enumerate(range(len(channels) - 1, 0, -1), start=1):
        wide, narrow, source = channels[level], channels[level - 1], f"generator/dcl.{block}"
        # One kernel reads the map and, behind it, the skip; ours are two, for the skip is the same for all frames.
        halves = ((("decoder", f"join_{level}", "kernel"), lambda w, n=wide: kernel(w[:n])),
                  (("decoder", f"join_skip_{level}", "kernel"), lambda w, n=wide: kernel(w[n:])))
        found.append(Rule(f"{source}.dcl1.weight", (2 * wide, wide, 3, 3), params(halves)))
        found += norm_rules(f"{source}.activation1.0", wide, ("decoder", f"join_norm_{level}"))
        place = ("decoder", f"double_{level}", "kernel")
        found.append(rule(f"{source}.dcl2.weight", (wide, narrow, 4, 4), place, kernel))
        found += norm_rules(f"{source}.activation2.0", narrow, ("decoder", f"double_norm_{level}"))
    place = ("decoder", "output", "kernel")
    return [*found, rule(f"generator/dcl.{len(channels)}.weight", (channels[0], 3, 4, 4), place, kernel)]


def _deepest(sizes: Sizes) -> tuple[int, int]:
    factor = 2 ** len(sizes.channels)
    return sizes.height // factor, sizes.width // factor


def _gru(source: str, width: int, features: int, layers: int, part: str) -> list[Rule]:
    """Gates are in the order reset, update, new on both sides."""
    found = []
    for layer in range(layers):
        inputs = width if layer == 0 else features
        for theirs, ours, columns in (("ih", "input", inputs), ("hh", "hidden", features)):
            found.append(rule(f"{source}.weight_{theirs}_l{layer}", (3 * features, columns),
                              (part, f"{ours}_kernel_{layer}"), np.transpose))
            found.append(rule(f"{source}.bias_{theirs}_l{layer}", (3 * features,), (part, f"{ours}_bias_{layer}")))
    return found
