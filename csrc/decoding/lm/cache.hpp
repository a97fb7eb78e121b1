// A compiled automaton in a file, used where it lies: nothing is parsed, and processes that map it
// share its pages.
//
// Layout, all numbers in the byte order of the machine that wrote it:
//
//   Header   see cache.cpp: magic, version, order, counts, checksums, and where the arrays are
//   arrays   unigrams, bounds, contexts, arc buckets, texts of words, their ends, their hash table;
//            each begins at a multiple of 64
//
// The header and the arrays that grow with the vocabulary are checked against their checksums when
// a file is opened. The others (arcs and contexts, nine tenths of it) are when it is read into
// memory; when it is mapped they are not even touched. Instead every step checks the states it
// reads, so that a file that was damaged or made to deceive gives wrong scores at worst.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "decoding/lm/memory.hpp"
#include "decoding/lm/ngram.hpp"

namespace sestina::decoding {

// Whether these first bytes of a file are those of a cache, of whatever version.
bool is_cache(std::span<const std::byte> bytes) noexcept;
// Hands `sink` the file's bytes, piece by piece.
void write_cache(const NgramModel& model,
                 const std::function<void(std::span<const std::byte>)>& sink);
// Throws FormatError, and std::system_error if the file can't be read.
std::shared_ptr<NgramModel> read_cache(const char* path, Loading loading);
// Checks all of it if `whole`.
std::shared_ptr<NgramModel> parse_cache(Block file, bool whole);

}  // namespace sestina::decoding
