// A small client on Java's HttpClient: it asks for the targets of its standard input, one a line, and writes
// a line for each, the status and the body in base64.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Base64;

public class Client {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient(); // its default asks every server for HTTP/2
        BufferedReader targets = new BufferedReader(new InputStreamReader(System.in));
        for (String target = targets.readLine(); target != null; target = targets.readLine()) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("BASE") + target))
                    .header("X-Aws-Parameters-Secrets-Token", System.getenv("TOKEN"))
                    .build();
            HttpResponse<byte[]> response = client.send(request, HttpResponse.BodyHandlers.ofByteArray());
            System.out.println(response.statusCode() + " " + Base64.getEncoder().encodeToString(response.body()));
        }
    }
}
