# nginx with two workers: small files, a large one by sendfile, many connections, a reload under load, a graceful end.
set -eu
cat >/tmp/nginx.conf <<'X'
worker_processes 2;
pid /tmp/nginx.pid;
error_log /tmp/error.log;
events { worker_connections 512; }
http {
    sendfile on;
    access_log off;
    server { listen 8080; root /tmp/www; }
}
X
mkdir /tmp/www
echo hello >/tmp/www/index.html
head -c 20000000 /dev/urandom >/tmp/www/large
nginx -c /tmp/nginx.conf
[ "$(curl -s http://127.0.0.1:8080/)" = hello ]
[ "$(curl -s -o /tmp/got -w '%{http_code}' http://127.0.0.1:8080/missing)" = 404 ]
curl -s -o /tmp/got http://localhost:8080/large
cmp /tmp/got /tmp/www/large
[ "$(curl -s -r 5000-5009 http://127.0.0.1:8080/large | cmp -n 10 -i 0:5000 - /tmp/www/large && echo same)" = same ]
wrk -t2 -c32 -d4s http://127.0.0.1:8080/ >/tmp/wrk.log &
load=$!
sleep 1
nginx -c /tmp/nginx.conf -s reload
wait $load
! grep -E 'Socket errors: connect [1-9]|timeout [1-9]|Non-2xx' /tmp/wrk.log
wrk -t1 -c8 -d2s -H 'Connection: close' http://127.0.0.1:8080/ >/tmp/wrk.log
! grep -E 'Socket errors|Non-2xx' /tmp/wrk.log
nginx -c /tmp/nginx.conf -s quit
while [ -e /tmp/nginx.pid ]; do sleep 0.1; done
echo passed
