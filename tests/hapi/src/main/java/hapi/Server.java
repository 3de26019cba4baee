package hapi;

import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.interceptor.UserRequestRetryVersionConflictsInterceptor;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.JpaSystemProvider;
import ca.uhn.fhir.jpa.provider.SubscriptionTriggeringProvider;
import ca.uhn.fhir.jpa.provider.ValueSetOperationProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.server.IncomingRequestAddressStrategy;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.NetworkConnector;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/** A HAPI FHIR JPA R4 server at /fhir in one process; prints READY with its port once it answers. */
public final class Server {
  private Server() {}

  public static void main(String[] arguments) throws Exception {
    var started = System.currentTimeMillis();
    var options = new Options(arguments);
    if (options.flag("until-input-ends")) {
      var watch = new Thread(Server::endWithTheInput);
      watch.setDaemon(true);
      watch.start();
    }
    var beans = new AnnotationConfigApplicationContext();
    beans.registerBean(Options.class, () -> options);
    beans.register(Storage.class);
    beans.refresh();
    var port = serve(fhirServlet(beans, options), options);
    System.out.printf("READY port=%d ms=%d%n", port, System.currentTimeMillis() - started);
  }

  private static void endWithTheInput() {
    try {
      System.in.transferTo(OutputStream.nullOutputStream());
    } catch (IOException gone) {
      System.err.println("standard input: " + gone.getMessage());
    }
    Runtime.getRuntime().halt(0);
  }

  private static int serve(RestfulServer servlet, Options options) throws Exception {
    var holder = new ServletHolder(servlet);
    holder.setInitOrder(1); // at start, not at the first request
    var context = new ServletContextHandler("/");
    context.addServlet(holder, "/fhir/*");
    var jetty = new org.eclipse.jetty.server.Server(new InetSocketAddress(options.text("host"), options.number("port")));
    jetty.setHandler(context);
    jetty.start();
    return ((NetworkConnector) jetty.getConnectors()[0]).getLocalPort();
  }

  private static RestfulServer fhirServlet(ApplicationContext beans, Options options) {
    IFhirSystemDao<?, ?> system = beans.getBean(IFhirSystemDao.class);
    var servlet = new RestfulServer(system.getContext());
    servlet.registerProviders(beans.getBean("myResourceProvidersR4", ResourceProviderFactory.class).createProviders());
    servlet.registerProviders(
        beans.getBean(JpaSystemProvider.class),
        beans.getBean(ValueSetOperationProvider.class),
        beans.getBean(SubscriptionTriggeringProvider.class));
    servlet.setServerConformanceProvider(capabilities(beans, servlet, system));
    servlet.setPagingProvider(paging(beans, options));
    servlet.setDefaultResponseEncoding(EncodingEnum.JSON);
    servlet.setDefaultPrettyPrint(false);
    servlet.setServerAddressStrategy(new IncomingRequestAddressStrategy());
    if (options.flag("retry-interceptor")) {
      servlet.registerInterceptor(new UserRequestRetryVersionConflictsInterceptor());
    }
    return servlet;
  }

  private static JpaCapabilityStatementProvider capabilities(
      ApplicationContext beans, RestfulServer servlet, IFhirSystemDao<?, ?> system) {
    return new JpaCapabilityStatementProvider(
        servlet,
        system,
        beans.getBean(JpaStorageSettings.class),
        beans.getBean(ISearchParamRegistry.class),
        beans.getBean("myJpaValidationSupportChain", IValidationSupport.class));
  }

  private static DatabaseBackedPagingProvider paging(ApplicationContext beans, Options options) {
    var paging = beans.getBean(DatabaseBackedPagingProvider.class);
    paging.setDefaultPageSize(options.number("page-default"));
    paging.setMaximumPageSize(options.number("page-max"));
    return paging;
  }
}
