"""The words of the report: headline, figures under it, how it was measured.  All of it is escaped HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ltokc.compare.codecs import CODECS, family, library_versions
from ltokc.compare.records import PictureComparison
from ltokc.compare.scores import LABELS
from ltokc.compare.summary import RivalSummary, summarize
from ltokc.compare.views import QUALITY

FIRST = "webp"  # the rival of the headline where it is among them: what most pictures of the web are today
LIBRARIES = {"jpeg": "libjpeg-turbo", "webp": "libwebp", "avif": "libavif"}


@dataclass(frozen=True, slots=True)
class Texts:
    """Escaped HTML for the places of the page with these names."""

    title: str
    set: str
    headline: str
    stats: str
    lead: str
    method: str


def texts(
    pictures: Sequence[PictureComparison], metric: str, shown: int, title: str | None, without: int = 0
) -> Texts:  # fmt: skip
    """The words for these pictures: `shown` have their views in the page, `without` more have no comparison."""
    rest = [f"{without} without a comparison"] if without else []
    if not pictures:
        none = "No picture was compared"
        line = " · ".join([*([title] if title else []), *rest])
        return Texts(escape(title or none), escape(line), none, "", "", "<p>Nothing was.</p>")
    found = summarize(pictures)
    name = title or (pictures[0].name if len(pictures) == 1 else f"{len(pictures)} pictures")
    ours = pictures[0].ours.label
    return Texts(
        title=escape(f"{name}: {_plain_headline(found, ours, pictures)}"),
        set=escape(" · ".join([name, *_rates(pictures), *rest])),
        headline=_headline(found, ours, pictures),
        stats="".join(_stat(summary) for summary in found),
        lead=_lead(found, pictures),
        method=_method(found, pictures, metric, shown),
    )


def headline_rival(pictures: Sequence[PictureComparison]) -> str | None:
    """The rival that the headline names; None without rivals."""
    main = _main(summarize(pictures))
    return main.name if main else None


def _main(found: Sequence[RivalSummary]) -> RivalSummary | None:
    with_ratio = [summary for summary in found if summary.ratio is not None]
    return next((s for s in with_ratio if s.name == FIRST), with_ratio[0] if with_ratio else None)


def change(ratio: float) -> tuple[str, str]:
    """(number, word) of a ratio of bytes: .64 -> ("36 %", "fewer"), 1.07 -> ("7 %", "more"), 1 -> ("", "as many")."""
    percent = round(100 * abs(ratio - 1))
    return (f"{percent}\u00a0%", "fewer" if ratio < 1 else "more") if percent else ("", "as many")


def _headline(found: Sequence[RivalSummary], ours: str, pictures: Sequence[PictureComparison]) -> str:
    main = _main(found)
    if main is None or main.ratio is None:
        return escape(_no_rivals(pictures))
    number, word = change(main.ratio)
    label, metric = escape(main.label), escape(LABELS[main.metric])
    if not number:
        return f"{escape(ours)} needs <b>as many bytes</b> as {label} at equal {metric}"
    return f"{escape(ours)} needs <b>{number} {word} bytes</b> than {label} at equal {metric}"


def _plain_headline(found: Sequence[RivalSummary], ours: str, pictures: Sequence[PictureComparison]) -> str:
    main = _main(found)
    if main is None or main.ratio is None:
        return _no_rivals(pictures)
    number, word = change(main.ratio)
    than = f"{number} {word} bytes than" if number else "as many bytes as"
    return f"{ours} needs {than} {main.label} at equal {LABELS[main.metric]}"


def _no_rivals(pictures: Sequence[PictureComparison]) -> str:
    count = len(pictures[0].files)
    return f"{count} file{'s' if count > 1 else ''} beside the original"


def _rates(pictures: Sequence[PictureComparison]) -> list[str]:
    """Mean bits per pixel of ours, and the quality where all files were made with the same one."""
    bpp = sum(picture.ours.bpp for picture in pictures) / len(pictures)
    rates = [f"{'mean ' if len(pictures) > 1 else ''}{bpp:.3f} bits per pixel"]
    qualities = {picture.ours.quality for picture in pictures}
    if len(qualities) == 1 and (quality := qualities.pop()) is not None and pictures[0].ours.codec == "ltokc":
        rates.append(f"-q {quality:g}")
    return rates


def _stat(summary: RivalSummary) -> str:
    if summary.ratio is None:
        figure, words = "–", f"bytes against {summary.label}: not to be compared"
    else:
        percent = round(100 * (summary.ratio - 1))
        sign = "−" if percent < 0 else "+" if percent > 0 else "±"
        figure, words = f"{sign}{abs(percent)}\u00a0%", f"bytes against {summary.label}"
    wins = f"better on {summary.better} of {summary.compared} at equal bytes" if summary.compared else ""
    return f"<li><strong>{figure}</strong><span>{escape(words)}</span><span>{escape(wins)}</span></li>"


def _lead(found: Sequence[RivalSummary], pictures: Sequence[PictureComparison]) -> str:
    if not found:
        return "All files are measured against the same original, in their own bytes."
    count = f"{len(pictures)} pictures" if len(pictures) > 1 else "one picture"
    return (
        f"Over {count}, geometric mean, whole files. Each rival was searched, picture by picture, once to the same "
        f"{escape(LABELS[found[0].metric])} (the figures above) and once to the same bytes (the pictures below)."
    )


def _method(found: Sequence[RivalSummary], pictures: Sequence[PictureComparison], metric: str, shown: int) -> str:
    items = []
    if found:
        items += [_rivals_text(found), _bytes_text(found), _quality_text(found, pictures)]
    items.append(_metrics_text(pictures))
    heat = " The map shows where the bits went: the paler, the more." if _has_ours(pictures) else ""
    items.append(
        "<b>What you see.</b> JPEG, WebP and AVIF files are in this page byte for byte, and your browser decodes them. "
        f"The original and .ltk files, which browsers do not read, are shown as WebP of quality {QUALITY} of their "
        f"pixels, so that this page stays small; they were measured before that.{heat}"
    )
    if shown < len(pictures):
        items.append(
            f"<b>Not shown.</b> {len(pictures) - shown} of {len(pictures)} pictures are in the tables and plots only, "
            "so that this page stays small."
        )
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _has_ours(pictures: Sequence[PictureComparison]) -> bool:
    return any(file.codec == "ltokc" for picture in pictures for file in picture.files)


def _rivals_text(found: Sequence[RivalSummary]) -> str:
    versions = library_versions()
    parts = []
    for summary in found:
        base = family(summary.name)
        library = LIBRARIES.get(base, "")
        words = [CODECS[base].settings, f"{library} {versions[library]}" if library in versions else ""]
        parts.append(f"{summary.label} ({', '.join(word for word in words if word)})")
    return f"<b>Rivals.</b> Through Pillow {escape(versions['pillow'])}: {escape('; '.join(parts))}."


def _bytes_text(found: Sequence[RivalSummary]) -> str:
    lands = ", ".join(f"{s.label} {100 * s.below:.1f}\u00a0%" for s in found)
    small = "; ".join(f"{s.label} on {s.downscaled}" for s in found if s.downscaled) or "on none here"
    large = "; ".join(f"{s.label} on {s.larger}" for s in found if s.larger)
    excess = f" Where even that is too large, its smallest file stands: {large}." if large else ""
    return (
        "<b>Equal bytes.</b> The rival's best quality whose file is not larger than ours. Its qualities come in steps, "
        f"so it lands below, in the mean by {escape(lands)}. Where its smallest file is too large, the picture is "
        "halved, then quartered, with Lanczos before encoding, and enlarged with Lanczos again to be measured "
        f"({escape(small)}).{escape(excess)}"
    )


def _quality_text(found: Sequence[RivalSummary], pictures: Sequence[PictureComparison]) -> str:
    text = (
        "<b>Equal quality.</b> The rival's smallest file that is not worse than ours by "
        f"{escape(LABELS[found[0].metric])}; its bytes are taken at exactly our score, between that "
        "file and the next smaller one."
    )
    bounds = "; ".join(f"{s.label} on {s.bounds}" for s in found if s.bounds)
    if bounds:
        text += f" Where even its smallest file is better, its bytes count, which flatters ours: {escape(bounds)}."
    missing = "; ".join(f"{s.label} on {s.missing} of {len(pictures)}" for s in found if s.missing)
    if missing:
        text += f" Left out, since the rival does not get so good: {escape(missing)}."
    return text


def _metrics_text(pictures: Sequence[PictureComparison]) -> str:
    text = (
        "<b>Metrics.</b> On 8-bit RGB at full size. SSIMULACRA2: 100 is the original, 90 hard to tell, 50 medium, "
        "under 0 bad."
    )
    if _has_ours(pictures):
        text += (
            " † marks metrics in the training of ltokc's networks: they minimised squared error (PSNR), a form of "
            "SSIM, and LPIPS, so these flatter it. SSIMULACRA2 was in the training of the encoder, which also decides "
            "by it which tokens each place gets, so it flatters too, and more with the effort."
        )
    return text
