"""A small trigram model of tokens, with back-offs of every kind and tokens that it lacks."""

from sestina.decoding import Tokens, read_arpa

NAMES = "-|abc"
TOKENS = Tokens(list(NAMES))  # the model lacks "-" and "c"

ARPA = """\\data\\
ngram 1=6
ngram 2=6
ngram 3=4

\\1-grams:
-1.3\t<unk>
-99\t<s>\t-0.4
-0.9\t</s>
-0.5\ta\t-0.2
-0.8\tb\t-0.6
-1.1\t|\t0.1

\\2-grams:
-0.2\ta b\t-0.3
-0.3\t<s> b\t-0.1
-0.7\tb </s>
-0.4\ta a\t-0.25
-0.6\tb |
-0.9\t| <unk>

\\3-grams:
-0.1\ta a a
-0.35\t<s> b |
-0.15\ta a </s>
-0.45\ta b |

\\end\\
"""


def token_model(folder):
    """The model, by way of a file in that folder."""
    path = folder / "tokens.arpa"
    path.write_text(ARPA)
    return read_arpa(path)
