// On a phone a figure is at least half as wide as it was drawn, and scrolls: book.css.
addEventListener("load", () => {
    for (const image of document.querySelectorAll(".content p > img"))
        image.style.setProperty("--least", `${image.naturalWidth / 2}px`);
});
