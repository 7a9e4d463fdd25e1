"""The theme button: light, dark, or that of the system."""

from __future__ import annotations

from nicegui import ui

__all__ = ["ThemeToggle"]


class ThemeToggle(ui.element, component="theme_toggle.js"):
    """Switches between light, dark and the theme of the system. The browser stores the choice."""
