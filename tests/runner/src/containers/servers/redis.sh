# Redis over TCP and a unix socket: benchmark, subscribers, a snapshot and a rewrite by forked children, a restart from the log.
set -eu
cd /tmp
serve() {
    redis-server --save '' --appendonly yes --dir /tmp --unixsocket /tmp/redis.sock --daemonize yes --logfile /tmp/log >/tmp/out
    until redis-cli ping >/tmp/out 2>&1; do sleep 0.1; done
}
serve
[ "$(redis-cli set key value)" = OK ]
[ "$(redis-cli -s /tmp/redis.sock get key)" = value ]
redis-cli subscribe news >/tmp/heard &
until [ "$(redis-cli publish news today)" = 1 ]; do sleep 0.1; done
until grep -q today /tmp/heard; do sleep 0.1; done
kill $!
redis-benchmark -q -n 2000 -c 20 -t set,get,incr,lpush,mset >/tmp/out
redis-benchmark -q -n 5000 -c 20 -P 16 -t set,get >/tmp/out
redis-benchmark -q -s /tmp/redis.sock -n 2000 -c 50 -t set,get >/tmp/out
redis-cli bgsave >/tmp/out
until redis-cli info persistence | grep -q bgsave_in_progress:0; do sleep 0.1; done
redis-cli bgrewriteaof >/tmp/out
until redis-cli info persistence | grep -q 'aof_rewrite_in_progress:0'; do sleep 0.1; done
redis-cli info persistence | grep -q rdb_last_bgsave_status:ok
redis-cli info persistence | grep -q aof_last_bgrewrite_status:ok
redis-cli shutdown
serve
[ "$(redis-cli get key)" = value ]
redis-cli shutdown
echo passed
