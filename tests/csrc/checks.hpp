// What the tests of this folder share: checks that count, and a small model with its lexicon.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

inline int failures = 0;

inline void check(bool holds, const char* what) {
  if (!holds) {
    std::printf("FAILED: %s\n", what);
    ++failures;
  }
}

// What main() returns.
inline int exit_status() { return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE; }

// Trigrams of words that are spelled with a and b; some begin as others do.
inline const std::string small_arpa =
    "\\data\\\nngram 1=6\nngram 2=4\nngram 3=2\n\n\\1-grams:\n-1.3\t<unk>\n-99\t<s>\t-0.4\n"
    "-0.9\t</s>\n-0.5\tab\t-0.2\n-0.8\tba\t-0.6\n-1.1\tabba\n\n\\2-grams:\n-0.2\tab ba\t-0.1\n"
    "-0.3\t<s> abba\n-0.7\tba </s>\n-0.4\tab ab\t-0.3\n\n\\3-grams:\n-0.1\tab ba </s>\n"
    "-0.2\tab ab ba\n\n\\end\\\n";
inline const std::string small_lexicon = "ab a b |\nba b a |\nabba a b b a\nab a b\n";
