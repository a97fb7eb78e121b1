#!/usr/bin/env bash
# KenLM's own tools and files of all its binary kinds, for the parity tests of sestina.decoding.
#
#   recipes/kenlm_oracle.sh [--into FOLDER] [MODEL.arpa | MODEL.arpa.gz]...
#
# FOLDER is build/kenlm-oracle of this checkout unless given; git ignores it. It gets bin/build_binary
# and bin/query (orders up to 6), compiled from the source package that PyPI has, and for each model a
# folder of its name with
#
#   probing.bin                     the hash table
#   trie.bin                        the trie
#   qtrie4.bin qtrie8.bin           the trie, scores quantised to 4 and to 8 bits
#   atrie.bin                       the trie, pointers compressed by arrays
#   qatrie4.bin qatrie8.bin         both
#
# What is there and whole is not made again. KenLM is LGPL-2.1 or later: nothing of it enters the
# package, the tests only compare with it.
set -euo pipefail
cd_from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly version=0.3.0
readonly sha256=c4628bb9fb63c8a6f9240035b8b037385cfc404cb72e933cf48878291edac1e8
readonly max_order=6
# The most bits that an array may take over from a pointer; KenLM takes as many as save memory.
readonly array_bits=22

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

need() {  # need <command> <Debian package>
  command -v "$1" >/dev/null || die "$1 is not here; install it (Debian: apt-get install $2)"
}

absolute() {
  case $1 in
    /*) printf '%s' "$1" ;;
    *) printf '%s/%s' "$cd_from" "$1" ;;
  esac
}

folder=$PWD/build/kenlm-oracle
models=()
while [ $# -gt 0 ]; do
  case $1 in
    --into)
      [ $# -ge 2 ] || die "--into needs a folder; e.g. --into build/kenlm-oracle"
      folder=$(absolute "$2")
      shift 2
      ;;
    -h | --help)
      sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "recipes/$(basename "${BASH_SOURCE[0]}")"
      exit 0
      ;;
    -*) die "unknown option $1; there are --into FOLDER and --help" ;;
    *)
      model=$(absolute "$1")
      [ -f "$model" ] || die "$model does not exist; give an ARPA file, plain or gzipped"
      models+=("$model")
      shift
      ;;
  esac
done

scratch=
trap '[ -z "$scratch" ] || rm -rf "$scratch"' EXIT
mkdir -p "$folder"

build_tools() {
  local stamp=$folder/bin/kenlm-$version
  [ -e "$stamp" ] && return
  need "${CXX:-g++}" g++
  need tar tar
  need sha256sum coreutils
  need python3 python3
  python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip; install it (Debian: python3-pip)"
  scratch=$(mktemp -d "$folder/tools.XXXXXX")
  echo "kenlm $version: fetching the source package" >&2
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary kenlm \
    --dest "$scratch" "kenlm==$version"
  echo "$sha256  $scratch/kenlm-$version.tar.gz" | sha256sum --check --quiet ||
    die "the package is not the one this recipe knows; look at it before changing the digest"
  tar -xzf "$scratch/kenlm-$version.tar.gz" -C "$scratch"
  compile "$scratch/kenlm-$version"
  mkdir -p "$folder/bin"
  mv "$scratch"/kenlm-$version/{build_binary,query} "$folder/bin/"
  touch "$stamp"
  rm -rf "$scratch"
}

compile() {  # compile <source>: without KenLM's cmake files, which want Boost for the estimator
  echo "kenlm $version: compiling (under a minute)" >&2
  local flags=(-O2 -std=c++17 -w -DNDEBUG "-DKENLM_MAX_ORDER=$max_order" -I.) part
  (
    cd "$1"
    mkdir objects
    for part in util/double-conversion/*.cc util/*.cc lm/*.cc; do
      case $part in
        *test.cc | *main.cc) ;;
        *) "${CXX:-g++}" "${flags[@]}" -c "$part" -o "objects/$(echo "$part" | tr / _).o" ;;
      esac
    done
    "${CXX:-g++}" "${flags[@]}" lm/build_binary_main.cc objects/*.o -lrt -o build_binary
    "${CXX:-g++}" "${flags[@]}" lm/query_main.cc objects/*.o -lrt -o query
  )
}

write_kinds() {  # write_kinds <ARPA, plain or gzipped>
  local source=$1 name
  name=$(basename "$source" .gz)
  local out=$folder/${name%.arpa}
  need sha256sum coreutils
  local stamp
  stamp="$(sha256sum <"$source" | cut -d' ' -f1) kenlm-$version array-$array_bits"
  if [ "$(cat "$out/made-from" 2>/dev/null || true)" = "$stamp" ]; then
    return
  fi
  scratch=$(mktemp -d "$folder/models.XXXXXX")
  local arpa=$source
  if [ "$source" != "${source%.gz}" ]; then
    need gzip gzip
    arpa=$scratch/$name
    gzip -dc "$source" >"$arpa"
  fi
  kind probing "$arpa" probing
  kind trie "$arpa" trie
  kind atrie "$arpa" -a $array_bits trie
  local bits
  for bits in 4 8; do
    kind "qtrie$bits" "$arpa" -q $bits -b $bits trie
    kind "qatrie$bits" "$arpa" -q $bits -b $bits -a $array_bits trie
  done
  mkdir -p "$out"
  rm -f "$out/made-from"
  mv "$scratch"/*.bin "$out/"
  printf '%s\n' "$stamp" >"$out/made-from"
  rm -rf "$scratch"
  echo "$out" >&2
}

kind() {  # kind <name> <ARPA> [options] <type>: -s takes models without <s> and </s>, too
  local name=$1 arpa=$2
  shift 2
  local command=("$folder/bin/build_binary" -s -T "$scratch/sort" -S 512M "$@" "$arpa" "$scratch/$name.bin")
  "${command[@]}" >"$scratch/log" 2>&1 || {
    cat "$scratch/log" >&2
    die "build_binary could not make $name.bin; it said the above"
  }
}

build_tools
for model in ${models[@]+"${models[@]}"}; do
  write_kinds "$model"
done
