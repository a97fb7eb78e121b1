"""The chapters of `sestina tour`: one file per room, named after it.

A chapter is a module with `TITLE: str` and `run(book: Chapter) -> None`, where `Chapter` is
`sestina.cli.book.Chapter`. It does the room's main job on real input in about a minute:

    TITLE = "Design a network from a kernel"

    def run(book: Chapter) -> None:
        book.text("The kernel of a deep network, and one hidden layer that has it:")
        book.table(rows, ["target", "error"])
        with house_style():
            figure, axes = new_figure()
            ...
            book.picture("kernel.png", figure, caption="K(c), target and achieved")
"""

__all__: list[str] = []
