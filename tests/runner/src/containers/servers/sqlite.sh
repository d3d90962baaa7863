# SQLite's shell: a write-ahead log, an index, two processes that write at once.
set -eu
cd /tmp
sqlite3 db 'pragma journal_mode = wal' 'create table t(a int, b text)' >out
sqlite3 db 'insert into t with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000) select i, hex(i) from n' \
    'create index i on t(b)'
for worker in 1 2; do
    (for i in $(seq 20); do sqlite3 -cmd '.timeout 20000' db "insert into t values ($worker, 'w')"; done) &
done
wait
[ "$(sqlite3 db 'select count(*), sum(b = "w") from t')" = '20040|40' ]
[ "$(sqlite3 db 'pragma integrity_check')" = ok ]
sqlite3 db .dump | sqlite3 copy
[ "$(sqlite3 copy 'select count(*) from t')" = 20040 ]
echo passed
