"""The kernels behind `crops.warp`: a low-pass filter and bilinear sampling in fixed point, outside Python's lock.

Fixed point gives the same bytes on every machine. The four 16-bit lanes of a 64-bit word hold red, green, blue and
nothing, so one multiplication weighs a whole pixel.
"""

import numba
import numpy as np

_TAP_BITS = 14
_POINT_BITS = 24
_WEIGHT_BITS = 8  # 8 bits of weight and 8 of pixel fill a lane
_ONE = 1 << _WEIGHT_BITS


@numba.njit(nogil=True, cache=True)
def resample(frames, back, out):
    """Fills crops.

    Args:
        frames: uint8 `[T, H, W, 3]`, contiguous.
        back: float64 `[T, 2, 3]`, maps crop points to points of the frames, pixel centres at +0.5.
        out: uint8 `[T, h, w, 3]`, is filled.
    """
    for t in range(len(frames)):
        place = back[t]
        shrink = np.sqrt(np.abs(place[0, 0] * place[1, 1] - place[0, 1] * place[1, 0]))
        taps = low_pass_taps(shrink)
        top, bottom = _span(place[1], out.shape[1:3], frames.shape[1])
        left, right = _span(place[0], out.shape[1:3], frames.shape[2])
        pixels = _lanes(frames[t], taps, top, bottom, left, right)
        local = place.copy()
        local[0, 2] -= left
        local[1, 2] -= top
        _bilinear(pixels, local, out[t])


@numba.njit(nogil=True, cache=True)
def low_pass_taps(shrink):
    """Weights, summing to 2 ** 14, of a filter of variance (shrink^2 - 1) / 12; one weight where nothing shrinks."""
    if shrink <= 3:
        side = max(shrink**2 - 1, 0.0) / 24
        taps = np.array([side, 1 - 2 * side, side])
    else:  # a box of `shrink` pixels whose ends count in part
        reach = int(np.ceil((shrink - 1) / 2))
        taps = np.ones(2 * reach + 1)
        taps[0] = taps[-1] = (shrink - (2 * reach - 1)) / 2
    weights = np.round(taps / taps.sum() * (1 << _TAP_BITS)).astype(np.int64)
    if weights[0] == 0 and len(weights) == 3:
        weights = weights[1:2]
    weights[len(weights) // 2] += (1 << _TAP_BITS) - weights.sum()
    return weights.astype(np.uint32)


@numba.njit(nogil=True, cache=True)
def _span(row, size, limit):
    """First and end row (or column) of the frame that the crop's samples touch, inside [0, limit]."""
    far = row[0] * size[1] + row[2], row[1] * size[0] + row[2], row[0] * size[1] + row[1] * size[0] + row[2]
    low = min(row[2], far[0], far[1], far[2])
    high = max(row[2], far[0], far[1], far[2])
    first = min(max(int(np.floor(low)) - 1, 0), limit - 1)
    return first, min(max(int(np.ceil(high)) + 1, first + 1), limit)


@numba.njit(nogil=True, cache=True)
def _lanes(frame, taps, top, bottom, left, right):
    """Part of a frame, filtered, as uint16 `[rows, columns, 4]`."""
    reach, width = len(taps) // 2, right - left
    out = np.zeros((bottom - top, width, 4), np.uint16)
    flat = frame.reshape(len(frame), -1)
    line = np.empty(3 * (width + 2 * reach), np.uint32)
    wide = np.zeros(4 * (width + 2 * reach), np.uint32)
    total = np.empty(4 * width, np.uint32)
    half, bits = np.uint32(1 << (_TAP_BITS - 1)), np.uint32(_TAP_BITS)
    for i in range(top, bottom):
        _filter_down(flat, taps, i, left, right, line)
        for m in range(width + 2 * reach):
            for c in range(3):
                wide[4 * m + c] = line[3 * m + c]
        total[:] = half
        for k in range(len(taps)):
            weight, shifted = taps[k], wide[4 * k : 4 * k + 4 * width]
            for m in range(4 * width):
                total[m] += weight * shifted[m]
        target = out[i - top].reshape(-1)
        for m in range(4 * width):
            target[m] = total[m] >> bits
    return out


@numba.njit(nogil=True, cache=True)
def _filter_down(flat, taps, i, left, right, line):
    """Row `i` filtered along its column, from `reach` pixels before `left` to as many behind `right`."""
    reach, columns = len(taps) // 2, flat.shape[1] // 3
    first, end = max(left - reach, 0), min(right + reach, columns)
    skip = 3 * (first - (left - reach))
    middle = line[skip : skip + 3 * (end - first)]
    middle[:] = np.uint32(1 << (_TAP_BITS - 1))
    for k in range(len(taps)):
        row = flat[min(max(i + k - reach, 0), len(flat) - 1)][3 * first : 3 * end]
        weight = taps[k]
        for m in range(len(middle)):
            middle[m] += weight * np.uint32(row[m])
    for m in range(len(middle)):
        middle[m] >>= np.uint32(_TAP_BITS)
    for m in range(skip):  # the border repeats
        line[skip - 1 - m] = middle[2 - m % 3]
    for m in range(skip + len(middle), len(line)):
        line[m] = line[m - 3]


@numba.njit(nogil=True, cache=True)
def _bilinear(pixels, back, out):
    """Samples `pixels`, uint16 `[rows, columns, 4]`, at the places of the crop's pixel centres."""
    last_row, last_column = pixels.shape[0] - 1, pixels.shape[1] - 1
    words = pixels.reshape(-1).view(np.uint64)
    stride = np.uint64(pixels.shape[1])
    one, bits, spare = 1 << _POINT_BITS, _POINT_BITS, _POINT_BITS - _WEIGHT_BITS
    dx, dy = np.int64(np.round(back[0, 0] * one)), np.int64(np.round(back[1, 0] * one))
    rounding = np.uint64(0x0080_0080_0080_0080)
    for i in range(out.shape[0]):
        x = np.int64(np.round((back[0, 0] * 0.5 + back[0, 1] * (i + 0.5) + back[0, 2] - 0.5) * one))
        y = np.int64(np.round((back[1, 0] * 0.5 + back[1, 1] * (i + 0.5) + back[1, 2] - 0.5) * one))
        row = out[i].reshape(-1)
        for j in range(out.shape[1]):
            u = min(max(x + j * dx, 0), last_column * one)
            v = min(max(y + j * dy, 0), last_row * one)
            right = np.uint64((u >> bits) < last_column)
            below = stride if (v >> bits) < last_row else np.uint64(0)
            place = np.uint64(v >> bits) * stride + np.uint64(u >> bits)
            fx, fy = np.uint64((u >> spare) & (_ONE - 1)), np.uint64((v >> spare) & (_ONE - 1))
            both = (fx * fy + np.uint64(_ONE // 2)) >> np.uint64(_WEIGHT_BITS)
            # The four weights sum to 256 exactly, so a flat area stays what it is and no lane overflows.
            word = ((np.uint64(_ONE) + both - fx - fy) * words[place] + (fx - both) * words[place + right]
                    + (fy - both) * words[place + below] + both * words[place + below + right] + rounding)
            row[3 * j] = np.uint8((word >> np.uint64(8)) & np.uint64(255))
            row[3 * j + 1] = np.uint8((word >> np.uint64(24)) & np.uint64(255))
            row[3 * j + 2] = np.uint8((word >> np.uint64(40)) & np.uint64(255))
