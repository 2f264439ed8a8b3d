#!/usr/bin/env bash
# Counts the instructions of each piece of work with callgrind.
#
#     benches/instructions.sh [WORK…]
#
# Prints a line for each: work, subject, instructions, separated by tabs. A count is the difference
# of two runs, so that the cost of the first execution is left out. Needs valgrind.
set -euo pipefail
shopt -s inherit_errexit

root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/instructions
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# The names of functions come from the debug information.
CARGO_PROFILE_RELEASE_DEBUG=line-tables-only cargo build --quiet --release --target-dir "$target" \
    --manifest-path "$root/benches/Cargo.toml" --bin work
program=$target/release/work

# count WORK SUBJECT TIMES
count() {
    valgrind --quiet --tool=callgrind --callgrind-out-file="$out/callgrind" \
        --toggle-collect='*counted_by_callgrind*' "$program" "$@"
    awk '/^(summary|totals):/ { count = $2 } END { print count }' "$out/callgrind"
}

"$program" | while IFS=$'\t' read -r work subject; do
    if [ $# -gt 0 ] && ! printf '%s\n' "$@" | grep -qxF "$work"; then
        continue
    fi
    few=$(count "$work" "$subject" 2)
    many=$(count "$work" "$subject" 12)
    printf '%s\t%s\t%d\n' "$work" "$subject" $(((many - few) / 10))
done
