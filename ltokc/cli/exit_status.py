"""The exit statuses of `ltokc`, and what they mean, for its help and its manual."""

DONE, FAILED, USAGE, NOTHING, INTERRUPTED = 0, 1, 2, 3, 130  # USAGE is click's own
MEANINGS = {
    DONE: "done",
    FAILED: "some file failed; the others are done (with batch --keep-smaller also: some file was left out)",
    USAGE: "usage",
    NOTHING: "nothing to do; but 0 with batch --resume where all was done before, and for a --shard without a picture",
    INTERRUPTED: "interrupted",
}
SUMMARY = ", ".join(f"{status} {meaning.partition(';')[0]}" for status, meaning in MEANINGS.items())
