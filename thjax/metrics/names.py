"""Names of metrics in tables: what a number depends on stands in its name."""


def metric_name(base: str, network: str | None = None, crop: str | None = None, size: int | None = None,
                n: int | None = None) -> str:
    """For example `fid[inception-2015, head 128, N=4096]`, `acd[arcface-r100, head 112]`, `lmd[dlib-68]`, `psnr`.

    Args:
        base: name in the catalogue.
        network: or detector, whose weights or rule the value depends on; `synthetic` marks judges trained by us.
        crop: what of the frame it saw.
        size: side of that crop in pixels; it needs a crop.
        n: samples that the value is taken over.

    Raises:
        ValueError: a part holds a bracket or comma, or a size stands without its crop.
    """
    for part in (base, network, crop):
        if part is not None and (not part or set(part) & set("[],=")):
            raise ValueError(f"{part!r} cannot be part of a metric's name; use letters, digits, spaces and hyphens")
    if size is not None and crop is None:
        raise ValueError(f"{base} has size {size} but no crop; name what of the frame was {size} pixels wide")
    place = crop if size is None else f"{crop} {size}"
    parts = [part for part in (network, place, None if n is None else f"N={n}") if part is not None]
    return f"{base}[{', '.join(parts)}]" if parts else base
