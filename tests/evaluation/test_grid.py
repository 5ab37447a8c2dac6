"""mmccd.evaluation.grid: one table for Markdown and for LaTeX."""

from __future__ import annotations

from mmccd.evaluation.grid import Grid, escape

GRID = Grid(["Method", "AUPRC"], [["|x - x'|", ".5 ± .1"], ["[a]", "2 %"]], "Of 50 % & more_")


def test_markdown() -> None:
    assert GRID.markdown().splitlines() == [
        "| Method | AUPRC |",
        "|---|---|",
        "| \\|x - x'\\| | .5 ± .1 |",
        "| [a] | 2 % |",
    ]


def test_latex() -> None:
    assert GRID.latex("tab:one").splitlines() == [
        r"\begin{table}",
        r"\caption{Of 50 \% \& more\_}",
        r"\label{tab:one}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"Method & AUPRC \\",
        r"\midrule",
        r"\textbar{}x - x'\textbar{} & .5 $\pm$ .1 \\",
        r"{[a]} & 2 \% \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_every_special_letter() -> None:
    found = escape("\\ ~ ^ { } # $ < >")
    assert found == (
        r"\textbackslash{} \textasciitilde{} \textasciicircum{} \{ \} \# \$ \textless{}"
        r" \textgreater{}"
    )
