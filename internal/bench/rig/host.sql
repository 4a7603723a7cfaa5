CREATE TABLE accounts (
  id      bigint PRIMARY KEY,
  balance bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE TABLE orders (
  id         bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  account    bigint      NOT NULL,
  items      json        NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_account_idx ON orders (account, created_at);
