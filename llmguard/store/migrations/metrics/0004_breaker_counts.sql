-- What each process has seen of each version: others add the growth to their own.
CREATE TABLE breaker_counts (
  key TEXT NOT NULL,
  process TEXT NOT NULL,
  calls BIGINT NOT NULL,
  fails BIGINT NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (key, process)
) WITHOUT ROWID;
CREATE INDEX breaker_counts_at ON breaker_counts (at);
