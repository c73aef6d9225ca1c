"""Complete a commit message in the style of a repository's authors.

The script trains a model on the subject lines of all commits of a repository (up to a minute), and
saves it in `.git/commit-messages`; `--learn` trains it again. Completions are printed, one per
line, most likely first.

    python examples/commit_messages.py "Fix the" --repository ../requests
"""

import argparse
import subprocess
import sys
from pathlib import Path

from microgpt import InferenceGpt, MicrogptError, TrainConfig, load, save, train


def git(repository: Path, *args: str) -> str:
    command = ["git", "-C", str(repository), *args]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def learn(repository: Path, directory: Path, steps: int | None) -> None:
    """Train on the commit messages of a repository; without `steps`, microgpt chooses settings."""
    messages = git(repository, "log", "--no-merges", "--format=%s").splitlines()
    print(f"learning {len(messages)} messages", file=sys.stderr)
    config = TrainConfig(steps=steps, batch_size=8) if steps else None
    save(train(messages, config=config), directory)


def complete(gpt: InferenceGpt, start: str, n: int) -> list[str]:
    """Return distinct completions, in order of increasing loss per token."""
    drafts = set(gpt.generate(8 * n, prompt=start, temperature=0.6))
    return sorted(drafts, key=lambda draft: gpt.evaluate([draft]).loss)[:n]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("start", nargs="?", default="", help="how the message begins")
    parser.add_argument("-n", type=int, default=5, help="number of completions")
    parser.add_argument("--repository", type=Path, default=Path())
    parser.add_argument("--learn", action="store_true", help="learn again")
    parser.add_argument("--steps", type=int, help="training steps")
    args = parser.parse_args()
    common = git(args.repository, "rev-parse", "--path-format=absolute", "--git-common-dir")
    directory = Path(common, "commit-messages")
    if args.learn or not directory.exists():
        learn(args.repository, directory, args.steps)
    for message in complete(InferenceGpt(load(directory)), args.start, args.n):
        print(message)


if __name__ == "__main__":
    try:
        main()
    except (MicrogptError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
