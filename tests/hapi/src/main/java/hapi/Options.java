package hapi;

import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/** What the command line may set: {@code --name=value}, each with a default that suits a test run. */
final class Options {
  private static final Map<String, String> DEFAULTS = Map.ofEntries(
      Map.entry("host", "127.0.0.1"),
      Map.entry("port", "0"), // 0 = any free port, told by the READY line
      Map.entry("until-input-ends", "false"), // end with whoever started it, however that one ended
      Map.entry("jdbc-url", "jdbc:h2:mem:hapi;DB_CLOSE_DELAY=-1"),
      Map.entry("jdbc-user", "sa"),
      Map.entry("jdbc-password", ""),
      Map.entry("pool", "16"), // database connections
      Map.entry("ddl", "update"), // hibernate.hbm2ddl.auto
      Map.entry("page-default", "20"),
      Map.entry("page-max", "200"),
      Map.entry("search-expiry-ms", "3600000"),
      Map.entry("reuse-ms", "60000"), // 0 = a repeated search is always run again
      Map.entry("integrity", "true"), // a reference to what is not there is refused
      Map.entry("placeholders", "false"), // ... or a stub is made for it
      Map.entry("max-bundle", "0"), // 0 = no limit
      Map.entry("retry-interceptor", "false"), // obey X-Retry-On-Version-Conflict
      Map.entry("scheduling", "true"),
      Map.entry("rest-hooks", "false"), // Subscriptions become active, and their endpoints are called
      Map.entry("pre-expand", "false")); // expand value sets in the background

  private final Map<String, String> values = new TreeMap<>(DEFAULTS);

  Options(String... arguments) {
    Set<String> unknown = new TreeSet<>();
    Arrays.stream(arguments).forEach(argument -> set(argument, unknown));
    if (!unknown.isEmpty()) {
      throw new IllegalArgumentException("unknown: " + unknown + "; known, as --name=value: " + new TreeMap<>(DEFAULTS));
    }
  }

  private void set(String argument, Set<String> unknown) {
    String[] parts = argument.split("=", 2);
    String name = parts[0].replaceFirst("^--", "");
    if (parts.length == 2 && argument.startsWith("--") && DEFAULTS.containsKey(name)) {
      values.put(name, parts[1]);
    } else {
      unknown.add(argument);
    }
  }

  String text(String name) {
    return values.get(name);
  }

  int number(String name) {
    return Integer.parseInt(text(name));
  }

  boolean flag(String name) {
    return Boolean.parseBoolean(text(name));
  }

  boolean postgres() {
    return text("jdbc-url").startsWith("jdbc:postgresql:");
  }
}
