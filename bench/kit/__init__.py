"""What the scripts of `bench/` share: the peers, the servers, the runs, the tables."""
