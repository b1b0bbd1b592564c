// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <memory>

#include "command.h"
#include "handshake.h"
#include "output.h"

namespace synward::bench {
namespace {

// Each connection is a descriptor at either end.
void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

nlohmann::ordered_json to_json(const Percentiles& times) {
    return {{"p50", times.p50}, {"p90", times.p90}, {"p99", times.p99}, {"max", times.max}};
}

nlohmann::ordered_json to_json(const ConnectReport& report) {
    return {{"connections_per_second", report.per_second()},
            {"success", report.success()},
            {"started", report.started},
            {"connected", report.connected},
            {"answered", report.answered},
            {"refused", report.refused},
            {"timed_out", report.timed_out},
            {"failed", report.failed},
            {"skipped", report.skipped},
            {"seconds", report.seconds},
            {"connect_ms", to_json(report.connect)},
            {"answer_ms", to_json(report.answer)}};
}

const std::vector<std::string> kHead = {"connections/s", "success", "connect p50", "p90",
                                        "p99",           "max ms",  "answer p99"};

std::vector<std::string> to_cells(const ConnectReport& report) {
    const auto ms = [](double value) { return fmt::format("{:.2f}", value); };
    return {fmt::format("{:.0f}", report.per_second()),
            fmt::format("{:.2f} %", report.success() * 100),
            ms(report.connect.p50),
            ms(report.connect.p90),
            ms(report.connect.p99),
            ms(report.connect.max),
            ms(report.answer.p99)};
}

template <typename... Lists>
std::vector<std::string> joined(std::vector<std::string> first, const Lists&... lists) {
    (first.insert(first.end(), lists.begin(), lists.end()), ...);
    return first;
}

struct HandshakeArguments {
    HandshakeOptions handshake;
    std::string flood_kind = "syn";
    std::vector<std::string> defences;
    Output output;
};

void run_handshake(HandshakeArguments& arguments) {
    raise_descriptor_limit();
    auto& options = arguments.handshake;
    options.flood_kind = parse_flood_kind(arguments.flood_kind);
    Table table(joined({"", "flood", "SYNs/s"}, kHead));
    auto json = nlohmann::ordered_json::array();
    const auto wanted = [&](const char* name) {
        const auto& list = arguments.defences;
        return list.empty() || std::find(list.begin(), list.end(), name) != list.end();
    };
    std::vector<Defence> defences;
    if (wanted("kernel")) defences.push_back(Defence::kKernel);
    if (wanted("kernel-always")) defences.push_back(Defence::kKernelAlways);
    if (wanted("synward")) defences.push_back(Defence::kSynward);
    for (const Defence defence : defences) {
        for (const bool flooded : {false, true}) {
            progress(fmt::format("{}: {}", to_string(defence), flooded ? "under the flood" : "idle"));
            Arena arena(options, defence);
            const auto result = arena.run(flooded);
            const double rate = result.flood.seconds > 0
                                    ? static_cast<double>(result.flood.delivered) / result.flood.seconds
                                    : 0;
            table.add(joined({std::string(to_string(defence)), flooded ? arguments.flood_kind : "none",
                              flooded ? count_text(rate) : "0"},
                             to_cells(result.clients)));
            nlohmann::ordered_json entry = {
                {"defence", to_string(defence)}, {"flooded", flooded}, {"flood_per_second", rate}};
            entry.update(to_json(result.clients));
            json.push_back(std::move(entry));
        }
    }
    arguments.output.print(
        fmt::format("{} legitimate connections for {:g} s over {}; the flood {}; times in ms\n\n{}",
                    options.rate > 0 ? fmt::format("{:g} per second", options.rate) : "as many as possible",
                    options.seconds, options.ipv6 ? "IPv6" : "IPv4",
                    options.shared ? "shares their wire" : "has its own wire", table.text()));
    arguments.output.write({{"family", options.ipv6 ? 6 : 4},
                            {"rate", options.rate},
                            {"shared", options.shared},
                            {"results", json}});
}

struct ConnectArguments {
    std::string to, probe = "http";
    std::vector<std::string> from;
    ConnectOptions connect;
    Output output;
};

void run_connect(ConnectArguments& arguments) {
    raise_descriptor_limit();
    auto& options = arguments.connect;
    options.to = parse_address(arguments.to);
    options.probe = arguments.probe == "http"   ? Probe::kHttp
                    : arguments.probe == "byte" ? Probe::kByte
                                                : Probe::kNone;
    for (const auto& text : arguments.from) options.from.push_back(parse_address(text));
    const auto report = run_connections(options);
    Table table(kHead);
    table.add(to_cells(report));
    arguments.output.print(table.text());
    arguments.output.write(to_json(report));
}

}  // namespace

void add_handshake(CLI::App& app) {
    auto arguments = std::make_shared<HandshakeArguments>();
    auto& handshake = arguments->handshake;
    CLI::App* command = app.add_subcommand("handshake",
                                           "Legitimate connections per second and their times, idle and "
                                           "under a flood, with and without synward");
    command
        ->add_option("--rate", handshake.rate,
                     "legitimate connections per second; 0: as many as --outstanding allows")
        ->capture_default_str();
    command->add_option("--outstanding", handshake.outstanding, "connections at one time, at most")
        ->capture_default_str();
    command->add_option("--seconds", handshake.seconds, "length of each measurement")
        ->check(CLI::Range(0.1, 600.0))
        ->capture_default_str();
    command->add_option("--timeout", handshake.timeout, "seconds after which a connection has failed")
        ->capture_default_str();
    command->add_flag("--shared", handshake.shared,
                      "the flood comes by the interface of the clients, one core receives both");
    command
        ->add_option("--flood-rate", handshake.flood_rate,
                     "frames per second of the flood; 0: what one core makes, a million with --shared")
        ->capture_default_str();
    command->add_option("--flood-kind", arguments->flood_kind, "what the flood sends")
        ->check(CLI::IsMember({"syn", "ack", "rst", "synack", "odd-syn", "fragment"}))
        ->capture_default_str();
    command->add_option("--flood-cpu", handshake.flood_cpu, "CPU of the flood and of what answers it")
        ->capture_default_str();
    command->add_option("--client-cpu", handshake.client_cpu, "CPU of clients and server")
        ->capture_default_str();
    command->add_option("--defence", arguments->defences, "only these: kernel, kernel-always, synward")
        ->check(CLI::IsMember({"kernel", "kernel-always", "synward"}));
    command->add_option("--mode", handshake.mode, "mode of synward's service")
        ->check(CLI::IsMember({"cookie", "auto"}))
        ->capture_default_str();
    command->add_flag("-6,--ipv6", handshake.ipv6, "IPv6 instead of IPv4");
    command->add_option("--object", handshake.object, "synward's BPF object [searched beside this program]");
    command->add_option("-j,--json", arguments->output.json_path, "write JSON to FILE, '-' for stdout");
    command->callback([arguments] { run_handshake(*arguments); });
}

void add_connect(CLI::App& app) {
    auto arguments = std::make_shared<ConnectArguments>();
    auto& connect = arguments->connect;
    CLI::App* command = app.add_subcommand(
        "connect", "Open connections to a server and time them: the clients of 'handshake' alone");
    command->add_option("--to", arguments->to, "address of the server")->required();
    command->add_option("--port", connect.port, "port of the server")->capture_default_str();
    command->add_option("--from", arguments->from, "local addresses to connect from, in turn");
    command->add_option("--rate", connect.rate, "connections per second; 0: as many as --outstanding allows")
        ->capture_default_str();
    command->add_option("--outstanding", connect.outstanding, "connections at one time, at most")
        ->capture_default_str();
    command->add_option("--seconds", connect.seconds, "how long connections are opened")
        ->check(CLI::Range(0.1, 3600.0))
        ->capture_default_str();
    command->add_option("--timeout", connect.timeout, "seconds after which a connection has failed")
        ->capture_default_str();
    command
        ->add_option("--probe", arguments->probe,
                     "what counts as an answer: http, byte (of an echo server), none")
        ->check(CLI::IsMember({"http", "byte", "none"}))
        ->capture_default_str();
    command->add_option("-j,--json", arguments->output.json_path, "write JSON to FILE, '-' for stdout");
    command->callback([arguments] { run_connect(*arguments); });
}

}  // namespace synward::bench
