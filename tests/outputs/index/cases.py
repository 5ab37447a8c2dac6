"""Cases of a cohort, made by hand."""

from __future__ import annotations

import random

from mmccd.outputs.index.cases import IndexCase

QUALITY = {
    "flair_probability": 0.97,
    "ood_score": 1.0,
    "unevenness": 0.4,
    "jump": 0.01,
    "detail": 0.22,
    "correlation": 0.75,
}


def case(name: str, volume_ml: float | None = 5.0, **changes: object) -> IndexCase:
    """A case with a result; without one where there is no volume."""
    quality = {**QUALITY, **changes.pop("quality", {})}  # type: ignore[dict-item]
    judged = volume_ml is not None
    values = {
        "status": "done" if judged else "failed",
        "report": f"{name}/report.html" if judged else None,
        "volume_ml": volume_ml,
        "lesions": 3 if judged else None,
        "largest_ml": volume_ml * 0.6 if volume_ml is not None else None,
        "warning_count": 0 if judged else None,
        "quality": quality if judged else {},
        **changes,
    }
    return IndexCase(name, **values)  # type: ignore[arg-type]


def cohort(count: int = 20) -> list[IndexCase]:
    """Cases that differ a little, two that stand out, one that failed, and a patient of four
    visits.
    """
    draws = random.Random(7)
    cases = [
        case(
            f"patient{number:03d}",
            round(draws.uniform(3, 12), 2),
            lesions=draws.randint(1, 12),
            quality={
                "ood_score": round(draws.uniform(0.8, 1.2), 3),
                "unevenness": round(draws.uniform(0.3, 0.5), 3),
                "jump": round(draws.uniform(0.005, 0.015), 4),
                "detail": round(draws.uniform(0.2, 0.24), 3),
                "correlation": round(draws.uniform(0.7, 0.8), 3),
            },
        )
        for number in range(1, count - 6)
    ]
    warnings = ("the brain was extracted; look at the mask", "the <brightness> varies")
    return [
        *cases,
        case("large", 140.0, lesions=31, warning_count=2, warnings=warnings),
        case("strange", 6.0, quality={"ood_score": 4.5}),
        case(
            "broken",
            None,
            code="contrast.not_flair",
            error="the contrast looks like T1 (probability of FLAIR 0.05); expected FLAIR",
        ),
        *(
            case(f"sub-7_ses-{visit}", volume, patient="sub-7", visit=str(visit))
            for visit, volume in ((1, 4.0), (2, 6.5), (10, 11.0), (3, 9.0))
        ),
    ]
