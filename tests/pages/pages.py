"""Every kind of page and the command that writes it: one line for each, and it is held to what all pages promise."""

# Name, whether it needs the trained run, and the command; "RUN" is the run's folder.
PAGES = {
    "hello.html": ["hello"],
    "hello-lstm.html": ["hello", "--cell", "lstm", "--hidden", "8"],
    "hello-text.html": ["hello", "to be, 물레방아 <b>", "--cell", "gru", "--hidden", "5", "--steps", "60"],
    "compare.html": ["gradflow", "--compare", "--quick"],
    "gradients.html": ["gradflow", "RUN", "--quick", "--distance", "40", "--positions", "16"],
    "scope.html": ["inspect", "RUN", "--builtin", "--bytes", "60kB"],
    "stages.html": ["runs", "RUN", "--stages"],
}


def write(name, writer, request):
    args = PAGES[name]
    if "RUN" in args:
        run = request.getfixturevalue("trained")
        args = [run if arg == "RUN" else arg for arg in args]
    return writer.page(name, *args)
