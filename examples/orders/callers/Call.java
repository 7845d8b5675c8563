// java Call.java METHOD URL [BODY] --key PEM --keyid NAME [--challenge-url URL]: one signed request, JDK 17 or newer only.
import java.net.URI;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.time.Instant;
import java.util.*;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

public class Call {
    static final Pattern PARAM = Pattern.compile("([\\w-]+)=(?:\"([ !#-~]*)\"|([\\w.~+/-]+))");
    static final HttpClient CLIENT = HttpClient.newBuilder() // follows no redirects: a proof is for one address
            .version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(30)).build();
    static final List<String> GIVEN = new ArrayList<>();
    static final Map<String, String> OPTIONS = new HashMap<>();
    static String method, authority, path, query, content;
    static URI target;
    static PrivateKey key;

    public static void main(String[] arguments) throws Exception {
        for (int at = 0; at < arguments.length; at++) {
            boolean named = arguments[at].startsWith("--") && at + 1 < arguments.length;
            if (named) OPTIONS.put(arguments[at].substring(2), arguments[++at]);
            else GIVEN.add(arguments[at]);
        }
        if (GIVEN.size() < 2 || !OPTIONS.keySet().containsAll(Set.of("key", "keyid")))
            fail("usage: Call METHOD URL [BODY] --key PEM --keyid NAME [--challenge-url URL]");
        method = GIVEN.get(0).toUpperCase(Locale.ROOT);
        content = GIVEN.size() > 2 ? GIVEN.get(2) : "";
        spell(URI.create(GIVEN.get(1)));
        String pem = Files.readString(Path.of(OPTIONS.get("key"))).replaceAll("-----[^-]+-----|\\s", "");
        key = KeyFactory.getInstance("Ed25519").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem)));

        boolean ahead = OPTIONS.containsKey("challenge-url");
        HttpResponse<String> answer = send(ahead ? signed(fetched()) : Map.of());
        Map<String, String> again = challengeIn(answer);
        if (!ahead && Set.of(401, 403).contains(answer.statusCode())) answer = send(signed(again.isEmpty() ? fetched() : again));
        else if (again.getOrDefault("error", "").startsWith("nonce_")) answer = send(signed(again)); // too old, or spent

        System.out.println(answer.statusCode() + " " + answer.body().replaceAll("[\\p{C}&&[^\\n\\t]]", "?"));
        if (answer.statusCode() / 100 != 2)
            fail("refused: " + challengeIn(answer).getOrDefault("error", "status " + answer.statusCode()));
    }

    /** The target in the one spelling that both sides sign: names sorted, all but unreserved characters escaped. */
    static void spell(URI url) {
        authority = url.getRawAuthority().toLowerCase(Locale.ROOT).replaceFirst(url.getScheme().equals("https") ? ":443$" : ":80$", "");
        path = url.getRawPath().isEmpty() ? "/" : url.getRawPath();
        query = Arrays.stream(Objects.requireNonNullElse(url.getRawQuery(), "").split("&")).filter(field -> !field.isEmpty())
                .map(field -> (field + "=").split("=", -1))
                .map(field -> new String[] {escape(field[0]), escape(String.join("=", Arrays.copyOfRange(field, 1, field.length - 1)))})
                .sorted(Comparator.comparing(field -> field[0])).map(field -> field[0] + "=" + field[1])
                .collect(Collectors.joining("&"));
        target = URI.create(url.getScheme() + "://" + authority + path + (query.isEmpty() ? "" : "?" + query));
    }

    /** Leaves letters, digits and -._~ */
    static String escape(String text) {
        String decoded = URLDecoder.decode(text, StandardCharsets.UTF_8);
        return URLEncoder.encode(decoded, StandardCharsets.UTF_8).replace("+", "%20").replace("*", "%2A").replace("%7E", "~");
    }

    static HttpResponse<String> send(Map<String, String> headers) throws Exception {
        var request = HttpRequest.newBuilder(target).timeout(Duration.ofSeconds(30)).method(method, BodyPublishers.ofString(content));
        if (!content.isEmpty()) request.header("Content-Type", "application/json");
        headers.forEach(request::header);
        return CLIENT.send(request.build(), BodyHandlers.ofString());
    }

    /** The parameters of WWW-Authenticate: PCH …; REST APIs rename that field of a function's answer. */
    static Map<String, String> challengeIn(HttpResponse<?> answer) {
        for (String name : List.of("WWW-Authenticate", "x-amzn-Remapped-WWW-Authenticate")) {
            String field = answer.headers().firstValue(name).orElse("");
            Map<String, String> found = new HashMap<>();
            for (Matcher m = PARAM.matcher(field); m.find(); )
                found.put(m.group(1).toLowerCase(Locale.ROOT), m.group(2) != null ? m.group(2) : m.group(3));
            if (field.toLowerCase(Locale.ROOT).startsWith("pch ") && found.containsKey("nonce")) return found;
        }
        return Map.of();
    }

    /** A challenge from where they can always be had. */
    static Map<String, String> fetched() throws Exception {
        if (OPTIONS.containsKey("challenge-url")) {
            var request = HttpRequest.newBuilder(URI.create(OPTIONS.get("challenge-url"))).timeout(Duration.ofSeconds(30));
            var challenge = challengeIn(CLIENT.send(request.build(), BodyHandlers.discarding()));
            if (!challenge.isEmpty()) return challenge;
        }
        return fail("no challenge: give --challenge-url, the address of Signet's /pch/challenge");
    }

    /** The header fields of a request that answers a challenge (RFC 9421). */
    static Map<String, String> signed(Map<String, String> challenge) throws Exception {
        var headers = new LinkedHashMap<String, String>();
        var values = new LinkedHashMap<String, String>();
        values.put("@method", method);
        values.put("@authority", authority);
        values.put("@path", path);
        values.put("@query", "?" + query);
        if (!content.isEmpty()) values.put("content-type", "application/json");
        boolean asked = List.of(challenge.getOrDefault("components", "").split(" ")).contains("content-digest");
        if (!content.isEmpty() || asked || Set.of("POST", "PUT", "PATCH").contains(method)) {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(content.getBytes(StandardCharsets.UTF_8));
            headers.put("Content-Digest", "sha-256=:" + Base64.getEncoder().encodeToString(digest) + ":");
            values.put("content-digest", headers.get("Content-Digest"));
        }
        long created = Instant.now().getEpochSecond();
        long expires = created + Math.min(60, Long.parseLong(challenge.getOrDefault("max-age", "60")));
        String covered = values.keySet().stream().map(name -> '"' + name + '"').collect(Collectors.joining(" "));
        String params = "(%s);created=%d;expires=%d;nonce=\"%s\";keyid=\"%s\";alg=\"ed25519\";tag=\"pch-lite\""
                .formatted(covered, created, expires, challenge.get("nonce"), OPTIONS.get("keyid"));
        var base = new StringBuilder();
        values.forEach((name, value) -> base.append('"').append(name).append("\": ").append(value).append('\n'));
        base.append("\"@signature-params\": ").append(params);
        Signature signer = Signature.getInstance("Ed25519");
        signer.initSign(key);
        signer.update(base.toString().getBytes(StandardCharsets.UTF_8));
        headers.put("Signature-Input", "pch=" + params);
        headers.put("Signature", "pch=:" + Base64.getEncoder().encodeToString(signer.sign()) + ":");
        return headers;
    }

    static <T> T fail(String message) {
        System.err.println(message);
        System.exit(1);
        return null;
    }
}
