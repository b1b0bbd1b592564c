#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The table and the chart of tools/quickstart, from the JSON files in a folder.

quickstart-report.py FOLDER [FILE]: the figures go to FILE as JSON too. Exit status 1
when nothing was escalated, although the flood had what is doubtful.
"""
import json
import pathlib
import sys

CASES = [
    ("kernel-idle", "kernel alone, idle"),
    ("kernel-flood", "kernel alone, flooded"),
    ("synward-idle", "synward, idle"),
    ("synward-flood", "synward, flooded"),
    ("synward-doubt", "synward, strays and odd"),
]
WIDTH = 40


def load(folder, name):
    path = folder / name
    return json.loads(path.read_text()) if path.exists() else None


def asked_about(status):
    """What went up to the daemon, what came back, and why none did."""
    escalation = status["escalation"] or {"problem": "it does not answer"}
    workers = escalation.get("workers", [])
    return {
        "received": sum(worker["received"] for worker in workers),
        "verdicts": sum(worker["verdicts"] for worker in workers),
        "problem": escalation.get("problem"),
    }


def main():
    folder = pathlib.Path(sys.argv[1])
    colour = sys.stdout.isatty()
    rows = []
    for name, title in CASES:
        report = load(folder, name + ".json")
        flood = load(folder, name + ".flood")
        rows.append((title, report, flood))

    print(f"{'':24}{'flood':>10}{'connections':>13}{'answered':>10}{'connect p50':>13}{'p99':>11}")
    print(f"{'':24}{'SYN/s':>10}{'per second':>13}{'':>10}{'ms':>13}{'ms':>11}")
    for title, report, flood in rows:
        rate = f"{flood['rate'] / 1e6:.2f} M" if flood else "-"
        print(f"{title:24}{rate:>10}{report['connections_per_second']:>13.0f}{100 * report['success']:>9.1f}%"
              f"{report['connect_ms']['p50']:>13.2f}{report['connect_ms']['p99']:>11.2f}")

    best = max(report["connections_per_second"] for _, report, _ in rows) or 1
    print("\nAnswered connections per second")
    for title, report, _ in rows:
        share = report["connections_per_second"] / best
        filled = round(WIDTH * share)
        bar = "█" * filled + "░" * (WIDTH - filled)
        if colour:
            bar = f"\033[{32 if share > 0.3 else 31}m{bar}\033[0m"
        print(f"  {title:24}{bar} {report['connections_per_second']:8.0f}")

    doubt = asked_about(load(folder, "status.json"))
    if len(sys.argv) > 2:
        cases = {name: {"clients": report, "flood": flood} for (name, _), (_, report, flood) in zip(CASES, rows)}
        pathlib.Path(sys.argv[2]).write_text(json.dumps({"cases": cases, "doubt": doubt}, indent=2) + "\n")
    if not doubt["received"]:
        sys.exit(f"quickstart: no doubtful packet reached synwardd: {doubt['problem'] or 'the program asked about none'}")
    print(f"\nDoubtful packets: synwardd was asked about {doubt['received']} and gave {doubt['verdicts']} verdicts")


if __name__ == "__main__":
    main()
