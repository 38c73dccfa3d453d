"""Groups C++ sources into clusters that are compiled as one (see gni/cluster_build.gni).

Sources of one folder share clusters, in the order in which they are listed; what differs between folders is more
than what differs between neighbours, so folders stay apart. So do the builtins that are written for Turboshaft's
assembler: they open its namespace, whose names are those of the other assembler.
"""
import argparse
import os


def clusters(args):
    """Yields (file name, sources) for each cluster."""
    folders = {}
    for source in args.sources:
        group = os.path.dirname(source), source.endswith("-tsa.cc")
        folders.setdefault(group, []).append(source)
    count = 0
    for (folder, _), sources in folders.items():
        small = any(folder.endswith(d) or d + "/" in folder + "/" for d in args.small_cluster_dirs)
        size = args.small_cluster_size if small else args.cluster_size
        label = folder.rsplit("/src/", 1)[-1].replace("../", "").replace("/", "-")
        for start in range(0, len(sources), size):
            count += 1
            yield f"{args.prefix}-{count}-{label}.cc", sources[start:start + size]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compute-filenames", action="store_true")
    parser.add_argument("--generate", action="store_true")
    parser.add_argument("--cluster-size", type=int, required=True)
    parser.add_argument("--small-cluster-size", type=int, required=True)
    parser.add_argument("--small-cluster-dirs", action="append", default=[])
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--output-dir")
    parser.add_argument("--strip-prefix", default="")
    parser.add_argument("--include-prefix", default="")
    parser.add_argument("sources", nargs="*")
    args = parser.parse_args()
    for name, sources in clusters(args):
        if args.compute_filenames:
            print(name)
            continue
        lines = [f'#include "{args.include_prefix}{s.removeprefix(args.strip_prefix)}"\n' for s in sources]
        os.makedirs(args.output_dir, exist_ok=True)
        with open(os.path.join(args.output_dir, name), "w") as file:
            file.writelines(lines)


main()
