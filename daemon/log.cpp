// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string_view>

namespace synward {
namespace {

// "<4>": sd-daemon(3)'s priority of the line.
class Priority : public spdlog::custom_flag_formatter {
  public:
    void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
        const std::string_view text = [&] {
            switch (message.level) {
                case spdlog::level::critical:
                    return "<2>";
                case spdlog::level::err:
                    return "<3>";
                case spdlog::level::warn:
                    return "<4>";
                case spdlog::level::info:
                    return "<6>";
                default:
                    return "<7>";
            }
        }();
        out.append(text.data(), text.data() + text.size());
    }
    std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<Priority>(); }
};

// systemd names the journal's socket as DEVICE:INODE.
bool stderr_is_journal() {
    const char* stream = std::getenv("JOURNAL_STREAM");
    struct stat status;
    if (!stream || fstat(STDERR_FILENO, &status)) return false;
    return stream == std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

}  // namespace

void start_log() {
    if (isatty(STDERR_FILENO)) {
        auto logger = std::make_shared<spdlog::logger>(
            "synwardd", std::make_shared<spdlog::sinks::stderr_color_sink_st>());
        logger->set_pattern("%H:%M:%S %^%l%$: %v");
        spdlog::set_default_logger(logger);
        return;
    }
    auto logger =
        std::make_shared<spdlog::logger>("synwardd", std::make_shared<spdlog::sinks::stderr_sink_st>());
    if (stderr_is_journal()) {
        auto formatter = std::make_unique<spdlog::pattern_formatter>();
        formatter->add_flag<Priority>('*').set_pattern("%*%v");
        logger->set_formatter(std::move(formatter));
    } else {
        logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l: %v");
    }
    logger->flush_on(spdlog::level::trace);
    spdlog::set_default_logger(logger);
}

void set_log_level(const std::string& level) {
    spdlog::set_level(spdlog::level::from_str(level));
}

void log_error(const std::string& message) {
    std::istringstream lines(message);
    for (std::string line; std::getline(lines, line);) spdlog::error("{}", line);
}

}  // namespace synward
