# PostgreSQL 15: a cluster, pgbench over a unix socket and over TCP, a parallel query, a crash and its recovery.
set -eu
export PATH="$PATH:/usr/lib/postgresql/15/bin" PGHOST=/tmp PGDATABASE=postgres
mkdir /tmp/base && cd /tmp/base
initdb -D data -A trust --no-instructions >/tmp/base/log
start() { pg_ctl -D data -w -l log -o "-k /tmp -c max_connections=20" start >/tmp/base/out; }
start
psql -qAt -c "select count(*) from generate_series(1, 100000)" | grep -qx 100000
pgbench -i -q 2>/tmp/base/out
pgbench -c 4 -j 2 -t 50 | grep -q 'processed: 200/200'
pgbench -h 127.0.0.1 -S -c 4 -j 2 -t 200 | grep -q 'processed: 800/800'
psql -qAt -c "set max_parallel_workers_per_gather = 2; set min_parallel_table_scan_size = 0; set parallel_setup_cost = 0" \
    -c "explain (analyze, costs off) select sum(abalance) from pgbench_accounts" | grep -q 'Workers Launched: 2'
psql -q -c "create table t(x int)" -c "insert into t values (1)"
# A process that dies takes all sessions with it; the server recovers from its log by itself.
kill -9 "$(psql -qAt -c 'select pid from pg_stat_activity where backend_type = '"'checkpointer'")"
until psql -qAt -c "select x from t" 2>/tmp/base/out | grep -qx 1; do sleep 0.2; done
pg_ctl -D data -w -m fast stop >/tmp/base/out
start
psql -qAt -c "select bbalance = tbalance from (select sum(bbalance) bbalance from pgbench_branches) b, \
    (select sum(tbalance) tbalance from pgbench_tellers) t" | grep -qx t
pg_ctl -D data -w -m fast stop >/tmp/base/out
echo passed
