// Draws every formula of the page. One that KaTeX cannot read stays as TeX, and says so in the
// console, where the book's check looks.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    for (const place of document.querySelectorAll(".formula")) {
        const tex = place.textContent;
        try {
            katex.render(tex, place, { displayMode: place.tagName === "DIV", throwOnError: true });
        } catch (error) {
            console.error(`formula: ${tex}: ${error.message}`);
        }
    }
});
