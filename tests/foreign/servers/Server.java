// A small server on jdk.httpserver: it answers as the extension does, from the answers in the file of its argument.
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Executors;

public class Server {
    public static void main(String[] arguments) throws Exception {
        // A line for each answer, its target and its body in base64: the JDK has no JSON.
        Map<String, byte[]> answers = new HashMap<>();
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] parts = line.split(" ");
            answers.put(parts[0], Base64.getDecoder().decode(parts[1]));
        }
        byte[] unknown = "an unexpected error occurred while executing request".getBytes(StandardCharsets.UTF_8);
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", exchange -> {
            byte[] body = answers.get(exchange.getRequestURI().toString());
            exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
            exchange.sendResponseHeaders(body == null ? 400 : 200, (body == null ? unknown : body).length);
            exchange.getResponseBody().write(body == null ? unknown : body);
            exchange.close();
        });
        server.setExecutor(Executors.newFixedThreadPool(4, task -> new Thread(task)));
        server.start();
        System.out.println(server.getAddress().getPort());
    }
}
