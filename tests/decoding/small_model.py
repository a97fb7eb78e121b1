"""A bigram model of a few words, one of which is the test's own."""

ARPA = """\\data\\
ngram 1=5
ngram 2=2

\\1-grams:
-1.0 <unk>
-0.7 </s>
-0.5 ab -0.3
-0.9 ba -0.2
-1.5 OWN

\\2-grams:
-0.2 ab ba
-0.4 ba ab

\\end\\
"""
