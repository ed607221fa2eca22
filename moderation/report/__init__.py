"""The HTML report of a verdict: one self-contained file."""

from moderation.report.page import render_index, render_report

__all__ = ["render_index", "render_report"]
