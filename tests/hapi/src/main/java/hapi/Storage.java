package hapi;

import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.binary.api.IBinaryStorageSvc;
import ca.uhn.fhir.jpa.binstore.MemoryBinaryStorageSvcImpl;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirPostgresDialect;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.jpa.subscription.match.config.SubscriptionProcessorConfig;
import ca.uhn.fhir.jpa.subscription.match.deliver.email.IEmailSender;
import ca.uhn.fhir.jpa.subscription.submit.config.SubscriptionSubmitterConfig;
import jakarta.persistence.EntityManagerFactory;
import java.util.Map;
import java.util.Properties;
import javax.sql.DataSource;
import org.apache.commons.dbcp2.BasicDataSource;
import org.hl7.fhir.dstu2.model.Subscription.SubscriptionChannelType;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Primary;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;

/** The beans HAPI's JPA server cannot choose for itself: the database, and how strictly it stores. */
@Configuration
@Import({
  JpaR4Config.class,
  HapiJpaConfig.class,
  JpaBatch2Config.class,
  Batch2JobsConfig.class,
  ThreadPoolFactoryConfig.class,
  SubscriptionSubmitterConfig.class,
  SubscriptionProcessorConfig.class,
  SubscriptionChannelConfig.class
})
class Storage {
  private final Options options;

  Storage(Options options) {
    this.options = options;
  }

  @Bean(destroyMethod = "close")
  BasicDataSource dataSource() {
    var source = new BasicDataSource();
    source.setUrl(options.text("jdbc-url"));
    source.setUsername(options.text("jdbc-user"));
    source.setPassword(options.text("jdbc-password"));
    source.setMaxTotal(options.number("pool"));
    return source;
  }

  @Bean
  LocalContainerEntityManagerFactoryBean entityManagerFactory(
      ConfigurableListableBeanFactory beans, FhirContext fhir, JpaStorageSettings settings, DataSource source) {
    var factory = HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, fhir, settings);
    factory.setPersistenceUnitName("hapi");
    factory.setDataSource(source);
    factory.setJpaProperties(hibernate());
    return factory;
  }

  private Properties hibernate() {
    Class<?> dialect = options.postgres() ? HapiFhirPostgresDialect.class : HapiFhirH2Dialect.class;
    var properties = new Properties();
    properties.putAll(Map.of(
        "hibernate.dialect", dialect.getName(),
        "hibernate.hbm2ddl.auto", options.text("ddl"),
        "hibernate.search.enabled", "false",
        "hibernate.jdbc.batch_size", "20",
        "hibernate.cache.use_query_cache", "false",
        "hibernate.cache.use_second_level_cache", "false",
        "hibernate.cache.use_structured_entries", "false",
        "hibernate.cache.use_minimal_puts", "false"));
    return properties;
  }

  @Bean
  @Primary
  JpaTransactionManager transactionManager(EntityManagerFactory factory) {
    return new JpaTransactionManager(factory);
  }

  @Bean
  JpaStorageSettings storageSettings() {
    var settings = new JpaStorageSettings();
    int reuse = options.number("reuse-ms");
    int limit = options.number("max-bundle");
    settings.setReuseCachedSearchResultsForMillis(reuse == 0 ? null : (long) reuse);
    settings.setMaximumTransactionBundleSize(limit == 0 ? null : limit);
    settings.setExpireSearchResultsAfterMillis(options.number("search-expiry-ms"));
    settings.setEnforceReferentialIntegrityOnWrite(options.flag("integrity"));
    settings.setEnforceReferentialIntegrityOnDelete(options.flag("integrity"));
    settings.setAutoCreatePlaceholderReferenceTargets(options.flag("placeholders"));
    settings.setSchedulingDisabled(!options.flag("scheduling"));
    settings.setEnableTaskPreExpandValueSets(options.flag("pre-expand"));
    return settings;
  }

  @Bean
  PartitionSettings partitionSettings() {
    return new PartitionSettings();
  }

  @Bean
  SubscriptionSettings subscriptionSettings() {
    var settings = new SubscriptionSettings();
    if (options.flag("rest-hooks")) {
      settings.addSupportedSubscriptionType(SubscriptionChannelType.RESTHOOK);
    }
    return settings;
  }

  @Bean
  IBinaryStorageSvc binaryStorage() {
    return new MemoryBinaryStorageSvcImpl();
  }

  @Bean
  IEmailSender emailSender() {
    return mail -> {};
  }
}
