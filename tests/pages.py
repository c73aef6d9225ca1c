"""The type of the functions that open a page in Chromium or Firefox."""

from collections.abc import Callable
from typing import Any

# A function that opens an address, and returns a function that runs a script in the page.
Open = Callable[..., Callable[..., Any]]
UNTIL = """
    const until = async (get) => {
        for (let n = 0; n < 3000; n++) {
            const found = get();
            if (found) return found;
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
        return "never";
    };
    const byId = (id) => document.getElementById(id);
    const texts = (css) => [...document.querySelectorAll(css)].map((each) => each.textContent);
    const problem = () => byId("trouble").hidden ? "" : byId("trouble").textContent;
"""
