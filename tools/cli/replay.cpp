// SPDX-License-Identifier: GPL-2.0-or-later
// synward replay: what the policy would do to captured packets, and the deciders to recorded events.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/bpf.h>

#include <ctime>
#include <map>
#include <memory>
#include <set>
#include <tuple>

#include "lib/host.h"
#include "lib/local_services.h"
#include "lib/names.h"
#include "lib/reasons.h"
#include "lib/replay/capture.h"
#include "lib/replay/connections.h"
#include "lib/replay/replayer.h"
#include "lib/sets/mirror_once.h"
#include "tools/cli/context.h"
#include "tools/cli/output.h"
#include "tools/cli/packet_text.h"
#include "tools/cli/replay_input.h"
#include "tools/cli/replay_trace.h"
#include "tools/cli/table.h"
#include "tools/cli/target.h"

namespace synward::cli {
namespace {

using nlohmann::json;
using replay::Connections;
using replay::Direction;

struct ReplayParameters {
    std::string file;
    std::string config;
    std::string device;
    std::string mode;
    std::string mac;
    std::vector<std::string> reasons;
    std::uint64_t limit = 0;
    bool summary = false;
    bool verbose = false;
};

struct Counts {
    std::uint64_t packets = 0;
    std::uint64_t sent = 0;       // by the host itself: the program does not see them
    std::uint64_t cut = 0;        // not even the headers were captured
    std::uint64_t padded = 0;     // the rest was made zeros
    std::uint64_t oversized = 0;  // more than the kernel lets a program be tried with
    std::uint64_t strangers = 0;  // strays of connections that began before the capture
    // verdict, reason, service
    std::map<std::tuple<std::string, unsigned, unsigned>, std::uint64_t> ways;
};

std::optional<replay::Mac> parse_mac(const std::string& text) {
    replay::Mac mac{};
    unsigned at[6];
    int read = 0;
    if (std::sscanf(text.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x%n", at, at + 1, at + 2, at + 3, at + 4, at + 5,
                    &read) != 6 ||
        static_cast<std::size_t>(read) != text.size())
        return std::nullopt;
    std::copy(std::begin(at), std::end(at), mac.begin());
    return mac;
}

// Where the policy comes from, and what is known of the interface.
struct Setting {
    std::optional<replay::Replayer> replayer;
    replay::Mac mac{};
    std::string text;
    std::vector<std::string> sets;  // ipsets that act, where the policy is of a config
};

Result<Setting> set_up(const ReplayParameters& parameters) {
    Setting setting;
    replay::ReplayerOptions options;
    if (!parameters.mode.empty()) options.mode = parse_mode(parameters.mode);
    Interface interface { .name = "lo" };
    if (!parameters.device.empty()) {
        auto found = find_interface(parameters.device);
        if (!found) return tl::unexpected(found.error());
        interface = std::move(*found);
        options.interface = interface.index;
    }
    if (parameters.config.empty()) {
        std::vector<std::string> devices;
        if (!parameters.device.empty()) devices.push_back(parameters.device);
        auto instances = find_instances(devices);
        if (!instances) return tl::unexpected(instances.error());
        if (instances->size() > 1)
            return fail(ErrorCode::usage,
                        "synward is on several interfaces; say with --dev whose policy is meant");
        const Instance& instance = instances->front();
        interface = instance.interface();
        options.interface = interface.index;
        auto made = replay::Replayer::of_instance(instance, options);
        if (!made) return tl::unexpected(made.error());
        setting.replayer.emplace(std::move(*made));
        setting.text = fmt::format("the policy of {}, its sources and connections of now", interface.name);
    } else {
        auto config = load_config(parameters.config);
        if (!config) return tl::unexpected(config.error());
        if (parameters.device.empty() && has_local(config->services))
            return fail(ErrorCode::usage,
                        "the config protects what is local on an interface (address = [\"local\"]); say with "
                        "--dev which one");
        if (auto done = read_local(config->services, interface.name); !done)
            return tl::unexpected(done.error());
        options.object = config->daemon.object;
        options.flows = config->limits.flows;
        options.sources = config->limits.sources;
        if (!parameters.mac.empty()) interface.mac = *parse_mac(parameters.mac);
        auto policy = compile_policy(*config, read_host(interface.name), interface);
        if (!policy) return tl::unexpected(policy.error());
        if (interface.receivers.empty()) interface.receivers = {interface.name};
        auto mirrored = mirror_once(
            *config, interface,
            [&](std::vector<SourceEntry> sources, bool) -> Result<void> {
                policy->sources = std::move(sources);
                return {};
            },
            false);
        if (!mirrored) return tl::unexpected(mirrored.error());
        for (const std::string& problem : mirrored->problems) fmt::print(stderr, "synward: {}\n", problem);
        setting.sets = std::move(mirrored->sets);
        auto made = replay::Replayer::of_policy(*policy, options);
        if (!made) return tl::unexpected(made.error());
        setting.replayer.emplace(std::move(*made));
        setting.text =
            fmt::format("the policy of {}, {}", parameters.config,
                        parameters.device.empty()
                            ? "as if every address were local and every protected port had a listener"
                            : "as if on " + interface.name);
        if (!setting.sets.empty())
            setting.text += fmt::format(", with the ipsets {}", fmt::join(setting.sets, ", "));
    }
    setting.mac = parameters.mac.empty() ? interface.mac : *parse_mac(parameters.mac);
    if (!parameters.mode.empty()) setting.text += ", mode " + parameters.mode;
    return setting;
}

class Session {
  public:
    Session(const ReplayParameters& parameters, const Context& context, ReplayInput& input, Setting setting)
        : parameters_(parameters), context_(context), input_(input), setting_(std::move(setting)) {
        for (const std::string& name : parameters.reasons) wanted_.insert(*find_reason(name));
    }

    Result<void> run() {
        if (input_.seekable())
            if (auto done = look_ahead(); !done) return done;
        auto capture = open();
        if (!capture) return tl::unexpected(capture.error());
        if (!context_.json && !parameters_.summary) fmt::print("# {}\n", setting_.text);
        replay::Packet packet;
        while (!parameters_.limit || counts_.packets < parameters_.limit) {
            const auto more = capture->next(packet);
            if (!more) {
                summarize(*capture);
                return tl::unexpected(more.error());
            }
            if (!*more) break;
            counts_.packets++;
            if (auto done = take(packet); !done) return done;
        }
        summarize(*capture);
        return {};
    }

  private:
    [[nodiscard]] bool sent(const replay::Packet& packet, const replay::View& view) const {
        if (packet.direction == Direction::sent) return true;
        if (!view.tcp || setting_.mac != replay::Mac{}) return false;
        // Without a hardware address: what a service says to a port that is none.
        const auto& ports = setting_.replayer->policy().ports;
        return ports[view.packet.source_port] && !ports[view.packet.destination_port];
    }

    Result<replay::Capture> open() {
        auto stream = input_.stream();
        if (!stream) return tl::unexpected(stream.error());
        return replay::Capture::read(std::move(*stream), parameters_.file, setting_.mac);
    }

    // Which connections did the host have that captured? Those it spoke on.
    Result<void> look_ahead() {
        auto capture = open();
        if (!capture) return tl::unexpected(capture.error());
        replay::Packet packet;
        for (std::uint64_t n = 0; !parameters_.limit || n < parameters_.limit; n++) {
            const auto more = capture->next(packet);
            // The second reading tells what is wrong.
            if (!more || !*more) break;
            const replay::View view = replay::read_frame(packet.frame);
            if (view.tcp && speaks(view) && sent(packet, view)) connections_.spoken(view);
        }
        return {};
    }

    static bool speaks(const replay::View& view) {
        return (view.packet.tcp_flags & (flag_ack | flag_syn | flag_rst)) == flag_ack;
    }

    Result<void> take(replay::Packet& packet) {
        const replay::View view = replay::read_frame(packet.frame);
        if (sent(packet, view)) {
            counts_.sent++;
            if (view.tcp && speaks(view)) connections_.spoken(view);
            return {};
        }
        if (packet.cut) {
            if (!headers_whole(view, packet.frame)) {
                counts_.cut++;
                tell_unjudged(packet, view, "cut short by the capture");
                return {};
            }
            counts_.padded++;
            packet.frame.resize(std::min<std::size_t>(packet.length, most_frame));
        }
        const bool syn = view.tcp && (view.packet.tcp_flags & (flag_syn | flag_ack)) == flag_syn;
        auto origin = Connections::Origin::unknown;
        if (view.tcp && !syn) {
            origin = connections_.follow(view, packet.frame);
            if (origin == Connections::Origin::passed) setting_.replayer->know(view);
        }
        auto outcome = setting_.replayer->run(packet.frame, view, packet.time);
        if (!outcome) return tl::unexpected(outcome.error());
        if (outcome->refused) {
            counts_.oversized++;
            tell_unjudged(packet, view, "larger than the kernel lets a program be tried with");
            return {};
        }
        if (syn && outcome->action == XDP_TX) connections_.answered(view, packet.frame, outcome->reply);
        if (syn && outcome->action == XDP_PASS && goes_to_kernel(outcome->reason)) connections_.passed(view);
        if (is_stray(outcome->reason) && origin == Connections::Origin::unknown) counts_.strangers++;
        const char* verdict = verdict_name(*outcome);
        counts_.ways[{verdict, outcome->reason, outcome->service}]++;
        if (!parameters_.summary && (wanted_.empty() || wanted_.contains(outcome->reason)))
            tell(packet, view, *outcome, verdict);
        return {};
    }

    static bool is_stray(sw_reason reason) {
        return reason == SW_REASON_STRAY_ACK || reason == SW_REASON_STRAY_SYNACK ||
               reason == SW_REASON_STRAY_RST || reason == SW_REASON_STRAY_OTHER;
    }
    // The kernel makes the connection by itself.
    static bool goes_to_kernel(sw_reason reason) {
        return reason == SW_REASON_SERVICE_IDLE || reason == SW_REASON_SYN_KNOWN ||
               reason == SW_REASON_SYN_NO_COOKIE;
    }

    static const char* verdict_name(const replay::Outcome& outcome) {
        if (outcome.escalated) return "escalate";
        switch (outcome.action) {
            case XDP_PASS:
                return "pass";
            case XDP_DROP:
                return "drop";
            case XDP_TX:
                return "tx";
            default:
                return "aborted";
        }
    }

    [[nodiscard]] std::string service_name(unsigned service) const {
        return service ? setting_.replayer->policy().services[service].name : "";
    }

    void tell(const replay::Packet& packet, const replay::View& view, const replay::Outcome& outcome,
              const char* verdict) const {
        const std::string service = service_name(outcome.service);
        if (context_.json) {
            json line = packet_json(packet, view);
            line["verdict"] = verdict;
            line["reason"] = reason_name(outcome.reason);
            line["service"] = service.empty() ? json() : json(service);
            line["cut"] = packet.cut;
            if (!outcome.reply.empty()) line["reply"] = reply_json(outcome.reply);
            // Not flushed line by line, which would halve the speed.
            fmt::print("{}\n", line.dump());
            return;
        }
        const Colour colour = outcome.escalated            ? Colour::yellow
                              : outcome.action == XDP_DROP ? Colour::red
                              : outcome.action == XDP_TX   ? Colour::green
                                                           : Colour::none;
        std::string word(verdict);
        for (char& c : word) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        fmt::print("{}  {} {}{}{}{}{}\n", packet_text(packet, view), paint(word, colour),
                   reason_name(outcome.reason), service.empty() ? "" : " " + service,
                   packet.cut ? " (cut)" : "", outcome.reply.empty() ? "" : ": " + reply_text(outcome.reply),
                   parameters_.verbose ? fmt::format("\n        {}", reasons[outcome.reason].text) : "");
    }

    void tell_unjudged(const replay::Packet& packet, const replay::View& view, const char* why) const {
        if (parameters_.summary || !wanted_.empty()) return;
        if (context_.json) {
            json line = packet_json(packet, view);
            line["verdict"] = nullptr;
            line["why"] = why;
            fmt::print("{}\n", line.dump());
        } else {
            fmt::print("{}  not judged: {}\n", packet_text(packet, view), why);
        }
    }

    void summarize(const replay::Capture& capture) const {
        const std::uint64_t unreadable = capture.unreadable();
        if (context_.json) {
            json ways = json::array();
            for (const auto& [way, count] : counts_.ways) {
                const auto& [verdict, reason, service] = way;
                ways.push_back({{"verdict", verdict},
                                {"reason", reason_name(reason)},
                                {"service", service ? json(service_name(service)) : json()},
                                {"packets", count}});
            }
            print_json_line({{"summary",
                              {{"file", parameters_.file},
                               {"link_type", capture.link_type()},
                               {"policy", setting_.text},
                               {"sets", setting_.sets},
                               {"packets", counts_.packets},
                               {"sent", counts_.sent},
                               {"cut", counts_.cut},
                               {"padded", counts_.padded},
                               {"oversized", counts_.oversized},
                               {"unreadable", unreadable},
                               {"strangers", counts_.strangers},
                               {"ways", std::move(ways)}}}});
            return;
        }
        std::uint64_t judged = 0;
        for (const auto& [way, count] : counts_.ways) judged += count;
        if (!parameters_.summary) fmt::print("\n");
        fmt::print("{}: {} packets ({}), {} judged by {}\n", parameters_.file, counts_.packets,
                   capture.link_type(), judged, setting_.text);
        Table table({{"VERDICT"},
                     {"REASON"},
                     {"SERVICE"},
                     {"PACKETS", Table::Align::right},
                     {"", Table::Align::right},
                     {""}});
        for (const auto& [way, count] : counts_.ways) {
            const auto& [verdict, reason, service] = way;
            table.add(
                {verdict, std::string(reason_name(reason)), service ? service_name(service) : "-",
                 std::to_string(count),
                 fmt::format("{:.1f} %", 100.0 * static_cast<double>(count) / static_cast<double>(judged)),
                 std::string(reasons[reason].text)});
        }
        if (!table.empty()) fmt::print("{}", table.text(2));
        const auto note = [](std::uint64_t count, std::string_view what) {
            if (count) fmt::print("  {} {}\n", count, what);
        };
        note(counts_.sent, "were sent by the host itself: the program does not see those");
        note(counts_.cut, "not judged: the capture has not even their headers (capture with a larger -s)");
        note(counts_.padded, "were judged by their headers: the capture does not have all of them");
        note(counts_.oversized,
             "not judged: joined by the driver into more than the kernel lets a program be "
             "tried with (capture with GRO off)");
        note(unreadable, "not judged: shorter than the header of their link");
        note(counts_.strangers,
             "strays are of connections whose beginning is not in the capture; where those were real, the "
             "kernel would have known them");
    }

    const ReplayParameters& parameters_;
    const Context& context_;
    ReplayInput& input_;
    Setting setting_;
    Connections connections_;
    std::set<unsigned> wanted_;
    Counts counts_;
};

Result<void> replay_recorded(const ReplayParameters& parameters, ReplayInput& input, bool as_json) {
    if (!parameters.mode.empty() || !parameters.mac.empty())
        return fail(ErrorCode::usage, "--mode and --mac are for captured packets, not for a trace of events");
    TraceParameters trace{.file = parameters.file,
                          .config = parameters.config,
                          .device = parameters.device,
                          .limit = parameters.limit,
                          .summary = parameters.summary,
                          .verbose = parameters.verbose,
                          .json = as_json};
    for (const std::string& name : parameters.reasons) trace.reasons.insert(*find_reason(name));
    return replay_trace(input, trace);
}

std::string check_reason(const std::string& name) {
    return find_reason(name) ? ""
                             : fmt::format("there is no reason '{}'; `synward reasons` lists them", name);
}

std::string check_mac(const std::string& text) {
    return parse_mac(text) ? "" : fmt::format("'{}' is no hardware address like 02:00:5e:10:00:01", text);
}

}  // namespace

void add_replay(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<ReplayParameters>();
    CLI::App* command = add_command(
        app, context, "replay",
        "Run captured packets through the program and a policy, and tell what would happen to each. No "
        "traffic "
        "is touched: the program runs with maps of its own. Its clock is that of the capture, so that rates "
        "are those of the capture too. Clients whose SYN gets a cookie go on as they would have: their "
        "captured ACK is made to acknowledge it. What the daemon recorded (record of [decide]) is decided "
        "once "
        "more by the deciders of --config",
        "tcpdump -w attack.pcap -i eth0 -c 100000 tcp port 443\n  synward replay attack.pcap -c "
        "/etc/synward/synward.toml --summary");
    command->add_option("FILE", parameters->file, "pcap or pcapng, or a trace of events; - is standard input")
        ->required()
        ->type_name("FILE");
    command
        ->add_option(
            "-c,--config", parameters->config,
            "The policy of this file, in place of the one in force. Without --dev it is tried where every "
            "address is local and every protected port has a listener")
        ->type_name("FILE");
    command
        ->add_option("-d,--dev,--interface", parameters->device,
                     "The interface: its policy in force (without -c), its hardware address, MTU and the "
                     "listeners of its host; the one that has synward if neither is given")
        ->type_name("DEV");
    command->add_option("-m,--mode", parameters->mode, "Every service in this mode, whatever the policy says")
        ->check(CLI::IsMember({"cookie", "auto", "monitor", "off"}))
        ->type_name("MODE");
    command
        ->add_option(
            "--mac", parameters->mac,
            "Hardware address of the host that captured: frames from it were sent, others to another "
            "one are not for it")
        ->check(CLI::Validator([](std::string& text) { return check_mac(text); }, "MAC"))
        ->type_name("MAC");
    command->add_option("-n,--limit", parameters->limit, "Stop after so many packets")->type_name("N");
    command
        ->add_option("-r,--reason", parameters->reasons, "Print packets of this reason only; may be repeated")
        ->check(CLI::Validator([](std::string& text) { return check_reason(text); }, "REASON"))
        ->type_name("REASON")
        ->expected(1)
        ->take_all();
    command->add_flag("-q,--summary", parameters->summary, "Print the summary only");
    command->add_flag("-v,--verbose", parameters->verbose, "Print what each reason means, too");
    command->callback([parameters, &context] {
        context.work = [=, &context]() -> Result<void> {
            auto input = ReplayInput::open(parameters->file);
            if (!input) return tl::unexpected(input.error());
            if (input->is_trace()) return replay_recorded(*parameters, *input, context.json);
            auto setting = set_up(*parameters);
            if (!setting) return tl::unexpected(setting.error());
            return Session(*parameters, context, *input, std::move(*setting)).run();
        };
    });
}

}  // namespace synward::cli
