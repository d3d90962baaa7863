// OpenJDK: threads, collectors of garbage, mapped and watched files, locks, child processes, an HTTP server and its client.
import com.sun.net.httpserver.HttpServer;
import java.net.*;
import java.net.http.*;
import java.nio.*;
import java.nio.channels.*;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;

public class Main {
    public static void main(String[] arguments) throws Exception {
        threads();
        files();
        processes();
        unixSocket();
        http();
        faults();
        System.out.println("passed");
    }

    static void check(boolean holds) {
        if (!holds) throw new AssertionError();
    }

    static void threads() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(8);
        List<Future<Integer>> results = new ArrayList<>();
        for (int task = 0; task < 16; task++) {
            results.add(pool.submit(() -> {
                List<byte[]> kept = new ArrayList<>();
                for (int i = 0; i < 1000; i++) {
                    kept.add(new byte[10000]);
                    if (kept.size() > 100) kept.clear();
                }
                return 1000;
            }));
        }
        int sum = 0;
        for (Future<Integer> result : results) sum += result.get();
        check(sum == 16000);
        pool.shutdown();
        check(pool.awaitTermination(10, TimeUnit.SECONDS));
    }

    static void files() throws Exception {
        Path path = Files.createTempFile("test", ".bin");
        Files.writeString(path, "hello");
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE);
                FileLock lock = channel.lock()) {
            check(lock.isValid());
            MappedByteBuffer map = channel.map(FileChannel.MapMode.READ_WRITE, 0, 4096);
            map.put(0, (byte) 'J');
            map.force();
        }
        check(Files.readString(path).startsWith("Jello"));
        try (WatchService watch = FileSystems.getDefault().newWatchService()) {
            Path folder = Files.createTempDirectory("watched");
            folder.register(watch, StandardWatchEventKinds.ENTRY_CREATE);
            Files.createFile(folder.resolve("new"));
            check(watch.poll(10, TimeUnit.SECONDS) != null);
        }
    }

    static void processes() throws Exception {
        Process child = new ProcessBuilder("sh", "-c", "echo child; exit 4").start();
        check(new String(child.getInputStream().readAllBytes()).equals("child\n") && child.waitFor() == 4);
        check(ProcessHandle.current().info().command().orElse("").endsWith("java"));
    }

    static void unixSocket() throws Exception {
        UnixDomainSocketAddress address = UnixDomainSocketAddress.of("/tmp/java.sock");
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX).bind(address);
                SocketChannel client = SocketChannel.open(address);
                SocketChannel accepted = server.accept()) {
            accepted.write(ByteBuffer.wrap("unix".getBytes()));
            ByteBuffer buffer = ByteBuffer.allocate(16);
            check(client.read(buffer) == 4);
        }
    }

    static void http() throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 50);
        ExecutorService pool = Executors.newFixedThreadPool(4);
        server.setExecutor(pool);
        server.createContext("/", exchange -> {
            byte[] body = exchange.getRequestBody().readAllBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
        URI uri = URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/");
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        List<CompletableFuture<HttpResponse<String>>> answers = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            HttpRequest request =
                    HttpRequest.newBuilder(uri).POST(HttpRequest.BodyPublishers.ofString("body " + i)).build();
            answers.add(client.sendAsync(request, HttpResponse.BodyHandlers.ofString()));
        }
        for (int i = 0; i < 40; i++) check(answers.get(i).get(60, TimeUnit.SECONDS).body().equals("body " + i));
        server.stop(0);
        pool.shutdown();
    }

    static void faults() {
        try {
            Object nothing = null;
            nothing.hashCode();
            check(false);
        } catch (NullPointerException expected) {
        }
        try {
            check(deeper(0) > 0);
        } catch (StackOverflowError expected) {
        }
    }

    static int deeper(int depth) {
        return deeper(depth + 1) + 1;
    }
}
