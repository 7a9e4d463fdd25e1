"""Light, dark, or as the system has it."""

from __future__ import annotations

from nicegui import ui

__all__ = ["ThemeToggle"]


class ThemeToggle(ui.element, component="theme_toggle.js"):
    """Light, dark, or as the system has it; kept in the browser."""
