-- What a promotion rests on: written once, never changed, found by its digest.
CREATE TABLE evidence (
  digest TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  function TEXT NOT NULL,
  subject TEXT NOT NULL,
  pin_digest TEXT NOT NULL,
  verdict TEXT NOT NULL,
  at REAL NOT NULL,
  body TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX evidence_by_pin ON evidence (function, pin_digest, at);

-- Signatures come later than what they sign, and from several people.
CREATE TABLE evidence_signatures (
  digest TEXT NOT NULL REFERENCES evidence (digest),
  signer TEXT NOT NULL,
  signature TEXT NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (digest, signer)
) WITHOUT ROWID;
