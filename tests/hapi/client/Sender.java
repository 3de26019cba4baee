import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.api.MethodOutcome;
import ca.uhn.fhir.rest.api.SearchStyleEnum;
import ca.uhn.fhir.rest.client.api.IGenericClient;
import ca.uhn.fhir.rest.client.interceptor.BearerTokenAuthInterceptor;
import ca.uhn.fhir.rest.server.exceptions.UnprocessableEntityException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.IdType;
import org.hl7.fhir.r4.model.OperationOutcome;
import org.hl7.fhir.r4.model.ServiceRequest;
import org.hl7.fhir.r4.model.Task;

/**
 * A hospital whose EHR uses HAPI's own client: it sends a referral as a transaction and reads what came of it. Prints what it saw,
 * {@code name=value} a line. Arguments: the address of the door, a key, the transaction's file, an order's file.
 */
final class Sender {
  public static void main(String[] said) throws Exception {
    FhirContext context = FhirContext.forR4(); // the client reads /metadata first and refuses a server that is not R4
    IGenericClient client = context.newRestfulGenericClient(said[0]);
    client.registerInterceptor(new BearerTokenAuthInterceptor(said[1]));
    Map<String, Object> saw = new LinkedHashMap<>();

    Bundle sent = context.newJsonParser().parseResource(Bundle.class, Files.readString(Path.of(said[2])));
    Bundle answer = client.transaction().withBundle(sent).execute();
    saw.put("transaction", answer.getType().toCode());
    saw.put("entries", answer.getEntry().size());
    IdType order = new IdType(place(answer));
    saw.put("status", client.read().resource(ServiceRequest.class).withId(order.toUnqualifiedVersionless()).execute().getStatus().toCode());

    client.setEncoding(EncodingEnum.JSON);
    Bundle found = client.search().forResource(ServiceRequest.class)
        .where(ServiceRequest.IDENTIFIER.exactly().systemAndIdentifier("urn:oid:2.999.1.7", "ORD-SYN-90001"))
        .returnBundle(Bundle.class).execute();
    saw.put("found", found.getTotal());
    Bundle tasks = client.search().forResource(Task.class).where(Task.FOCUS.hasId(order.toUnqualifiedVersionless()))
        .usingStyle(SearchStyleEnum.POST).returnBundle(Bundle.class).execute();
    saw.put("task", ((Task) tasks.getEntryFirstRep().getResource()).getStatus().toCode());
    saw.put("versions", client.history().onInstance(order.toUnqualifiedVersionless()).returnBundle(Bundle.class).execute().getTotal());

    ServiceRequest other = context.newJsonParser().parseResource(ServiceRequest.class, Files.readString(Path.of(said[3])));
    MethodOutcome known = client.create().resource(other).conditional()
        .where(ServiceRequest.IDENTIFIER.exactly().systemAndIdentifier("urn:oid:2.999.1.7", "ORD-SYN-90001")).execute();
    saw.put("known", known.getId().getIdPart().equals(order.getIdPart()));
    other.getIdentifierFirstRep().setValue("ORD-SYN-90002");
    MethodOutcome created = client.create().resource(other).execute();
    saw.put("created", created.getCreated());

    Bundle page = client.search().forResource(ServiceRequest.class).count(1).returnBundle(Bundle.class).execute();
    int pages = 1;
    while (page.getLink("next") != null) {
      page = client.loadPage().next(page).execute();
      pages++;
    }
    saw.put("pages", pages);
    try {
      client.create().resource(other.setStatus(ServiceRequest.ServiceRequestStatus.COMPLETED)).execute();
    } catch (UnprocessableEntityException refused) {
      OperationOutcome outcome = (OperationOutcome) refused.getOperationOutcome();
      saw.put("refused", outcome.getIssueFirstRep().getExpression().get(0));
    }
    saw.forEach((name, value) -> System.out.println(name + "=" + value));
  }

  private static String place(Bundle answer) {
    return answer.getEntry().stream().map(entry -> entry.getResponse().getLocation())
        .filter(place -> place != null && place.contains("/ServiceRequest/")).findFirst().orElseThrow();
  }
}
