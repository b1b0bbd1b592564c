// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/metrics.h"

#include <prometheus/text_serializer.h>

#include <initializer_list>
#include <utility>

#include "lib/reasons.h"

namespace synward {
namespace {

using nlohmann::json;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Label = std::pair<const char*, std::string>;

class Families {
  public:
    // Later values go to the same family.
    void begin(const char* name, MetricType type, const char* help) {
        list_.push_back({name, help, type, {}});
    }
    void add(double value, std::initializer_list<Label> labels = {}) {
        prometheus::ClientMetric metric;
        for (const auto& [key, text] : labels) metric.label.push_back({key, text});
        if (list_.back().type == MetricType::Counter)
            metric.counter.value = value;
        else
            metric.gauge.value = value;
        list_.back().metric.push_back(std::move(metric));
    }
    [[nodiscard]] std::vector<MetricFamily> take() {
        std::erase_if(list_, [](const MetricFamily& f) { return f.metric.empty(); });
        return std::move(list_);
    }

  private:
    std::vector<MetricFamily> list_;
};

// A number of an object, as one metric.
struct Plain {
    const char* key;
    const char* name;
    MetricType type;
    const char* help;
};

constexpr auto counter = MetricType::Counter;
constexpr auto gauge = MetricType::Gauge;

constexpr Plain escalation_numbers[] = {
    {"running", "synward_escalation_running", gauge, "1 if doubtful packets are asked about"},
    {"tickets_written", "synward_tickets_written_total", counter, "Tickets that the deciders gave"},
    {"sources_denied", "synward_sources_denied_total", counter, "Sources that the deciders put into a set"},
    {"actions_failed", "synward_actions_failed_total", counter, "Actions of the deciders that failed"},
};
constexpr Plain worker_numbers[] = {
    {"received", "synward_escalated_packets_total", counter, "Packets that the deciders were asked about"},
    {"verdicts", "synward_verdicts_total", counter, "Verdicts given"},
    {"batches", "synward_verdict_batches_total", counter, "Batches of verdicts sent"},
    {"system_calls", "synward_worker_system_calls_total", counter, "System calls for reading and verdicts"},
    {"lost", "synward_escalated_lost_total", counter,
     "Packets that found no place in the queue, and went by its fail policy"},
    {"torn", "synward_escalated_torn_total", counter,
     "Events that the kernel wrote over while they were read"},
    {"refused", "synward_verdicts_refused_total", counter, "Verdicts that came too late or did not fit"},
    {"actions_lost", "synward_actions_lost_total", counter, "Actions that found no place in their queue"},
};
constexpr Plain mirror_numbers[] = {
    {"changes", "synward_mirror_changes_total", counter, "Changes of sets brought to the driver hook"},
    {"drift", "synward_mirror_drift_total", counter,
     "Entries that only the reconciliation found to be different"},
    {"events", "synward_mirror_events_total", counter, "Changes that the kernel reported"},
    {"polls", "synward_mirror_polls_total", counter, "Looks at the headers of sets"},
    {"reads", "synward_mirror_reads_total", counter, "Sets read as a whole"},
    {"told", "synward_mirror_told_total", counter,
     "Changes of which an event told, so that no set was read for them"},
};
constexpr Plain mirrored_numbers[] = {
    {"entries", "synward_mirror_entries", gauge, "Entries of the bound sets at the driver hook"},
    {"overwritten", "synward_mirror_overwritten_total", counter,
     "Times that another process wrote over them, and they were put back"},
};
constexpr Plain set_numbers[] = {
    {"entries", "synward_set_entries", gauge, "Entries of a bound ipset"},
    {"memory", "synward_set_memory_bytes", gauge, "Memory of a bound ipset"},
};
constexpr Plain classification_numbers[] = {
    {"restored", "synward_rule_restored_total", counter, "Times that the one rule was put back"},
    {"flows_forgotten", "synward_flows_forgotten_total", counter,
     "Flows forgotten since their connection ended"},
    {"flow_reports_lost", "synward_flow_reports_lost_total", counter,
     "Ends of connections that conntrack could not report"},
    {"flow_readings", "synward_flow_readings_total", counter,
     "Times that all connections were read since reports were lost"},
    {"flows_reconciled", "synward_flows_reconciled_total", counter,
     "Flows forgotten since no connection had them then"},
};
constexpr Plain interface_numbers[] = {
    {"memory_bytes", "synward_map_memory_bytes", gauge, "The most that the maps of an interface take"},
    {"tc", "synward_tc_attached", gauge, "1 if the tc program is there"},
    {"metadata", "synward_driver_metadata", gauge, "1 if the driver hands metadata on"},
};
constexpr Plain service_numbers[] = {
    {"armed", "synward_service_armed", gauge, "1 while SYNs are answered with cookies"},
    {"armings", "synward_service_armings_total", counter, "Times that the service was armed"},
    {"syn_rate", "synward_service_syn_rate", gauge, "SYNs a second in the last arming window"},
    {"filter_complete", "synward_service_filter_complete", gauge,
     "1 if every connection of before the arming is known"},
};

double number(const json& object, const std::string& key) {
    const auto found = object.find(key);
    if (found == object.end()) return 0;
    if (found->is_boolean()) return found->get<bool>() ? 1 : 0;
    return found->is_number() ? found->get<double>() : 0;
}

std::string text(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The array or object below a key, or an empty one.
const json& below(const json& object, const char* key) {
    static const json nothing = json::array();
    const auto found = object.is_object() ? object.find(key) : object.end();
    return found != object.end() && found->is_structured() ? *found : nothing;
}

class Exposition {
  public:
    Exposition(const json& status, const json& stats) : status_(status), stats_(stats) {}

    std::vector<MetricFamily> make() {
        daemon(below(status_, "daemon"));
        packets();
        interfaces();
        escalation(below(status_, "escalation"));
        mirror(below(status_, "mirror"));
        classification(below(status_, "classification"));
        return out_.take();
    }

  private:
    template <std::size_t n>
    void plain(const Plain (&numbers)[n], const json& object) {
        if (!object.is_object()) return;
        for (const Plain& p : numbers) {
            out_.begin(p.name, p.type, p.help);
            out_.add(number(object, p.key));
        }
    }

    // The same numbers of each element of a list, which `label` names.
    template <std::size_t n, typename Name>
    void each(const Plain (&numbers)[n], const json& list, const char* label, Name name) {
        for (const Plain& p : numbers) {
            out_.begin(p.name, p.type, p.help);
            for (std::size_t i = 0; i < list.size(); i++)
                out_.add(number(list[i], p.key), {{label, name(list[i], i)}});
        }
    }

    void daemon(const json& daemon) {
        if (!daemon.is_object()) return;
        out_.begin("synward_build_info", gauge, "The version of synwardd; always 1");
        out_.add(1, {{"version", text(daemon, "version")}});
        out_.begin("synward_uptime_seconds", gauge, "Since synwardd was started");
        out_.add(number(daemon, "uptime"));
        out_.begin("synward_reload_failed", gauge,
                   "1 if the last reload failed and the old policy is in force");
        out_.add(text(daemon, "reload_error").empty() ? 0 : 1);
        out_.begin("synward_interface_protected", gauge, "1 if the interface is protected");
        for (const json& one : below(daemon, "interfaces"))
            out_.add(text(one, "state") == "protecting", {{"interface", text(one, "interface")}});
    }

    void packets() {
        out_.begin("synward_packets_total", counter, "Packets by the reason for which they left");
        for (const json& one : below(stats_, "interfaces"))
            for (const json& service : below(one, "services"))
                for (const Reason& reason : reasons)
                    // These are counted by the module.
                    if (reason.action != ReasonAction::RING)
                        out_.add(number(below(service, "packets"), std::string(reason.name)),
                                 {{"interface", text(one, "interface")},
                                  {"service", text(service, "name")},
                                  {"reason", std::string(reason.name)},
                                  {"action", std::string(reason_action_name(reason.action))}});
        out_.begin("synward_module_packets_total", counter, "What the kernel module counted");
        const json& module = below(stats_, "module");
        for (const auto& [name, value] : module.items())
            if (module.is_object()) out_.add(value.get<double>(), {{"reason", name}});
    }

    void interfaces() {
        const json& list = below(status_, "interfaces");
        each(interface_numbers, list, "interface",
             [](const json& one, std::size_t) { return text(one, "interface"); });
        out_.begin("synward_sources", gauge, "Single addresses and prefixes with a fate at the driver hook");
        for (const json& one : list)
            for (const char* fate : {"deny", "allow", "check"})
                out_.add(number(below(one, "sources"), fate),
                         {{"interface", text(one, "interface")}, {"fate", fate}});
        out_.begin("synward_sources_capacity", gauge, "As many single addresses have room");
        for (const json& one : list)
            out_.add(number(below(one, "sources"), "capacity"), {{"interface", text(one, "interface")}});
        for (const Plain& p : service_numbers) {
            out_.begin(p.name, p.type, p.help);
            for (const json& one : list)
                for (const json& service : below(one, "services"))
                    out_.add(number(service, p.key),
                             {{"interface", text(one, "interface")}, {"service", text(service, "name")}});
        }
        out_.begin("synward_service_info", gauge, "How a service is protected; always 1");
        for (const json& one : list)
            for (const json& service : below(one, "services"))
                out_.add(1, {{"interface", text(one, "interface")},
                             {"service", text(service, "name")},
                             {"mode", text(service, "mode")},
                             {"delivery", text(service, "delivery")}});
    }

    void escalation(const json& escalation) {
        plain(escalation_numbers, escalation);
        if (const json& recording = below(escalation, "recording"); recording.is_object()) {
            out_.begin("synward_recorded_events_total", counter, "Events that decide.record wrote down");
            out_.add(number(recording, "events"));
            out_.begin("synward_recording_lost_total", counter, "Events that it had no time to write down");
            out_.add(number(recording, "lost"));
        }
        const json& workers = below(escalation, "workers");
        each(worker_numbers, workers, "worker",
             [](const json&, std::size_t index) { return std::to_string(index); });
        out_.begin("synward_decisions_total", counter, "Decisions by their reason");
        for (std::size_t i = 0; i < workers.size(); i++)
            for (const auto& [name, value] : below(workers[i], "decisions").items())
                out_.add(value.get<double>(), {{"worker", std::to_string(i)}, {"reason", name}});
    }

    void mirror(const json& mirror) {
        plain(mirror_numbers, mirror);
        each(mirrored_numbers, below(mirror, "interfaces"), "interface",
             [](const json& one, std::size_t) { return text(one, "interface"); });
        each(set_numbers, below(mirror, "sets"), "set",
             [](const json& one, std::size_t) { return text(one, "name"); });
    }

    void classification(const json& classification) {
        if (!classification.is_object()) return;
        plain(classification_numbers, classification);
        out_.begin("synward_classification_problems", gauge, "What `synward status` calls a problem of it");
        out_.add(static_cast<double>(below(classification, "problems").size()));
        const json& remark = below(classification, "remark");
        out_.begin("synward_remarked_connections_total", counter,
                   "Connections whose mark followed a change of a set");
        out_.add(number(remark, "changed"));
    }

    const json& status_;
    const json& stats_;
    Families out_;
};

}  // namespace

std::vector<MetricFamily> metric_families(const json& status, const json& stats) {
    return Exposition(status, stats).make();
}

std::string metrics_text(const std::vector<MetricFamily>& families) {
    return prometheus::TextSerializer().Serialize(families);
}

}  // namespace synward
