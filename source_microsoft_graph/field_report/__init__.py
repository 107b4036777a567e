"""What Graph does in a tenant, beside what the connector assumes: a report to be pasted into an issue.

`plan` says which requests are sent, `inquiry` sends them, `probes` follow up what they find, `comparison` holds that
against the declarations of the streams, `markdown` writes it down. Nothing of the tenant's own leaves `observation` but
types, shapes and counts.
"""
