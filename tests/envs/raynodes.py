"""A Ray cluster of two nodes on this machine, for tests. Run as a script it does what its standard input says.

It prints the cluster's address and the id of the second node. `kill` ends that node as a power cut would, which is
answered with a line. At the end of its input, and when its parent dies, everything ends.
"""

import sys


def main() -> None:
    import logging

    from ray.cluster_utils import Cluster

    logging.getLogger("ray").setLevel(logging.ERROR)
    small = {"include_dashboard": False, "object_store_memory": 80 * 1024 * 1024, "num_cpus": 1}
    cluster = Cluster(initialize_head=True, head_node_args=small)
    second = cluster.add_node(**small)
    print(f"nodes: {cluster.address} {second.node_id}", flush=True)
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(second, allow_graceful=False)
            print("nodes: killed", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
