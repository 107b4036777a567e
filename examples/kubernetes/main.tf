# One large tenant over three connections: the directory, and the mailboxes of two halves of the people.

terraform {
  required_providers {
    airbyte = {
      source  = "airbytehq/airbyte"
      version = "~> 1.0"
    }
  }
}

variable "airbyte_url" { type = string }
variable "airbyte_client_id" { type = string }
variable "airbyte_client_secret" {
  type      = string
  sensitive = true
}
variable "workspace_id" { type = string }
variable "destination_id" { type = string }
variable "tenant_id" { type = string }

# An app registration for each connection: Graph's limits are per app and tenant.
variable "apps" {
  type = map(object({
    client_id     = string
    client_secret = string
  }))
  sensitive = true
}

provider "airbyte" {
  server_url    = var.airbyte_url
  client_id     = var.airbyte_client_id
  client_secret = var.airbyte_client_secret
}

resource "airbyte_source_definition" "microsoft_graph" {
  name              = "Microsoft Graph"
  workspace_id      = var.workspace_id
  docker_repository = "registry.example.com/source-microsoft-graph"
  docker_image_tag  = "0.1.0"
}

locals {
  mailbox_streams = ["mail_messages", "calendar_events", "contacts"]

  # When somebody was created never changes, so nobody moves from one part to another.
  parts = {
    directory  = { streams = ["users", "groups", "group_member", "group_owner", "teams"], settings = {} }
    mail_older = { streams = local.mailbox_streams, settings = { user_filter = "createdDateTime le 2023-12-31T23:59:59Z" } }
    mail_newer = { streams = local.mailbox_streams, settings = { user_filter = "createdDateTime ge 2024-01-01T00:00:00Z" } }
  }
}

resource "airbyte_source" "microsoft_graph" {
  for_each = local.parts

  name          = "Microsoft Graph: ${each.key}"
  workspace_id  = var.workspace_id
  definition_id = airbyte_source_definition.microsoft_graph.id

  configuration = jsonencode(merge(each.value.settings, {
    tenant_id     = var.tenant_id
    client_id     = var.apps[each.key].client_id
    client_secret = var.apps[each.key].client_secret
  }))
}

resource "airbyte_connection" "microsoft_graph" {
  for_each = local.parts

  name           = "Microsoft Graph: ${each.key}"
  source_id      = airbyte_source.microsoft_graph[each.key].source_id
  destination_id = var.destination_id

  # Two connections that overwrite the same table would delete each other's rows.
  prefix = "${each.key}_"

  schedule = { schedule_type = "cron", cron_expression = "0 0 3 * * ? UTC" }
  configurations = {
    streams = [for stream in each.value.streams : { name = stream, sync_mode = "full_refresh_overwrite" }]
  }
}
