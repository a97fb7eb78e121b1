// A packed decoder that was damaged is refused, or searched without reading beyond it.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checks.hpp"
#include "decoding/decoder.hpp"
#include "decoding/errors.hpp"
#include "decoding/lexicon.hpp"
#include "decoding/lm/ngram.hpp"
#include "decoding/packed.hpp"

using namespace sestina::decoding;

namespace {

const std::string arpa =
    "\\data\\\nngram 1=6\nngram 2=2\n\n\\1-grams:\n-1.3\t<unk>\n-99\t<s>\t-0.4\n-0.9\t</s>\n"
    "-0.5\tab\t-0.2\n-0.8\tba\t-0.6\n-1.1\tabba\n\n\\2-grams:\n-0.2\tab ba\n-0.3\t<s> abba\n\n"
    "\\end\\\n";
const std::string lexicon = "ab a b |\nba b a |\nabba a b b a\nab a b\nbab b a b\n";

std::vector<std::pair<std::string, std::int32_t>> token_names(std::int32_t count) {
  std::vector<std::pair<std::string, std::int32_t>> names{{"-", 0}, {"|", 1}, {"a", 2}, {"b", 3}};
  for (std::int32_t n = 4; n < count; ++n) {
    names.emplace_back("t" + std::to_string(n), n);
  }
  return names;
}

std::vector<Hypothesis> decode(const Decoder& decoder) {
  std::mt19937 random(1);
  std::vector<float> scores(20 * static_cast<std::size_t>(decoder.num_tokens()));
  for (float& score : scores) {
    score = -static_cast<float>(random() % 1000) / 100.0F;
  }
  const Utterance utterance{scores.data(), 20};
  return decoder.decode({&utterance, 1}, 5, 1).front();
}

bool equal(const std::vector<Hypothesis>& a, const std::vector<Hypothesis>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.score == y.score && x.path.size() == y.path.size() &&
           std::memcmp(x.path.data(), y.path.data(), x.path.size() * sizeof(Stretch)) == 0;
  });
}

// A block of its own allocation, so that the sanitizers see where it ends.
std::unique_ptr<std::byte[]> placed(const std::vector<std::byte>& block) {
  auto memory = std::make_unique<std::byte[]>(block.size());
  std::copy(block.begin(), block.end(), memory.get());
  return memory;
}

void test(std::int32_t num_tokens) {
  SearchOptions options;
  options.beam_size = 20;
  options.silence = 1;
  const TokenTable tokens(token_names(num_tokens), num_tokens);
  const Spellings spellings = Spellings::parse(lexicon, tokens);
  options.unk_word = spellings.words().size();
  const std::shared_ptr<NgramModel> model = NgramModel::parse_arpa(arpa);
  const Trie trie(spellings);
  // Only a model of tokens asks for their names.
  const std::vector<std::string_view> names(static_cast<std::size_t>(num_tokens));
  const Decoder decoder(spellings, trie, model, names, Smearing::max, options, {}, {}, nullptr);
  const std::vector<std::byte> block = pack(decoder.parts());

  const auto open = [&](const std::vector<std::byte>& bytes) {
    const std::unique_ptr<std::byte[]> memory = placed(bytes);
    const Packed parts = unpack({memory.get(), bytes.size()}, model->num_words());
    return decode(Decoder(parts, model, options, nullptr));
  };
  check(equal(open(block), decode(decoder)), "a packed decoder finds what the decoder finds");

  std::mt19937 random(7);
  int refused = 0;
  constexpr int times = 3000;
  for (int k = 0; k < times; ++k) {
    std::vector<std::byte> changed = block;
    if (k % 10 == 0) {
      changed.resize(random() % block.size());
    } else {
      for (unsigned n = 1 + random() % 3; n > 0; --n) {
        changed[random() % changed.size()] = static_cast<std::byte>(random());
      }
    }
    try {
      open(changed);
    } catch (const FormatError&) {
      ++refused;
    }
  }
  check(refused > times / 4, "damage is refused");
}

}  // namespace

int main() {
  test(4);
  test(70);  // without masks
  if (failures == 0) {
    std::printf("packed decoders: ok\n");
  }
  return exit_status();
}
